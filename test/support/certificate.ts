// A throw-away certificate for 127.0.0.1, of the kind that the product makes for itself: ECDSA P-256.
import { generate } from 'selfsigned';

export interface MadePair {
  key: string;
  cert: string;
}

/** PEM texts, fit for `tls.createSecureContext`. @param more further names, and the end of its time. */
export async function makeCertificate(
  commonName = 'localhost',
  more: { names?: string[]; notBeforeDate?: Date; notAfterDate?: Date } = {},
): Promise<MadePair> {
  // It has been valid for an hour: a test may have looked at the clock before it was made.
  const { names = [], ...dates } = { notBeforeDate: new Date(Date.now() - 3_600_000), ...more };
  const made = await generate([{ name: 'commonName', value: commonName }], {
    ...{ keyType: 'ec', curve: 'P-256', algorithm: 'sha256', ...dates },
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          ...[commonName, ...names].map((value) => ({ type: 2 as const, value })),
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { key: made.private, cert: made.cert };
}
