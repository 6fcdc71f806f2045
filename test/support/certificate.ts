// A throw-away certificate for 127.0.0.1, of the kind that the product makes for itself: ECDSA P-256.
import { generate } from 'selfsigned';

/** PEM texts, fit for `tls.createSecureContext`. */
export async function makeCertificate(commonName = 'localhost'): Promise<{ key: string; cert: string }> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: commonName },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { key: made.private, cert: made.cert };
}
