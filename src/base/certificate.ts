// The certificate for TLS: the configured files, or an ECDSA P-256 one made once into the data folder.
// Promise: a pair that does not work is refused with a sentence, and never takes the place of one that does.
import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { codeOf, messageOf, OperatorError } from './fault.js';

export interface CertificateFiles {
  cert: string;
  key: string;
}

/** What is in the files. */
export interface CertificatePair {
  /** PEM, the chain with the server's own first. */
  cert: string;
  key: string;
}

/** The settings that files come from, for what is said about them. */
const SETTINGS: CertificateFiles = { cert: 'tls.cert', key: 'tls.key' };

const VALID_DAYS = 3650;

/** The configured files, or those in `dataDir`, made when they are missing. */
export async function certificateFiles(
  configured: { cert: string | null; key: string | null },
  dataDir: string,
  hostname: string,
) {
  if (configured.cert && configured.key) return { cert: configured.cert, key: configured.key };
  const files: CertificateFiles = { cert: join(dataDir, 'tls', 'cert.pem'), key: join(dataDir, 'tls', 'key.pem') };
  if (!existsSync(files.cert) || !existsSync(files.key)) await makeCertificate(files, join(dataDir, 'tls'), hostname);
  return files;
}

async function makeCertificate(files: CertificateFiles, folder: string, hostname: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Loaded here only: its memory is not wanted in every process.
  const { default: selfsigned } = await import('selfsigned');
  const notAfterDate = new Date(Date.now() + VALID_DAYS * 86_400_000);
  const altNames = [...new Set([hostname, 'localhost'])].map((value) => ({ type: 2 as const, value }));
  const pair = await selfsigned.generate([{ name: 'commonName', value: hostname.slice(0, 64) }], {
    ...{ keyType: 'ec', curve: 'P-256', algorithm: 'sha256', notAfterDate },
    extensions: [{ name: 'subjectAltName', altNames: [...altNames, { type: 7, ip: '127.0.0.1' }] }],
  });
  for (const [file, text, mode] of [
    [files.key, pair.private, 0o600],
    [files.cert, pair.cert, 0o644],
  ] as const) {
    writeFileSync(`${file}.new`, text, { mode });
    chmodSync(`${file}.new`, mode);
    renameSync(`${file}.new`, file);
  }
}

/** Reads a pair and tries it. @throws OperatorError that names the setting and the fault */
export function readCertificate(files: CertificateFiles, settings = SETTINGS): CertificatePair {
  const pair = { cert: readPem(files.cert, settings.cert), key: readPem(files.key, settings.key) };
  const given = [...new Set([settings.cert, settings.key])].join(' and ');
  const attempt = <T>(what: string, step: () => T): T => {
    try {
      return step();
    } catch (error) {
      throw new OperatorError(`${given}: ${what}: ${messageOf(error)}`);
    }
  };
  const certificate = attempt(`${files.cert} is not a PEM certificate`, () => new X509Certificate(pair.cert));
  const key = attempt(`${files.key} is not a PEM private key`, () => createPrivateKey(pair.key));
  if (!certificate.checkPrivateKey(key)) {
    throw new OperatorError(`${given}: the key in ${files.key} is not that of the certificate in ${files.cert}`);
  }
  attempt(`${files.cert} and ${files.key} are not a usable pair`, () => createSecureContext(pair));
  return pair;
}

/** What is to be said about the dates of the certificate that `file` holds; undefined when it is valid now. */
export function dateRemark(cert: string, file: string, now: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (now > Date.parse(validTo)) return `the certificate in ${file} expired on ${validTo}`;
  return now < Date.parse(validFrom) ? `the certificate in ${file} is not valid before ${validFrom}` : undefined;
}

/**
 * A context of a pair: TLS 1.2 and 1.3, forward secrecy only, no renegotiation.
 * @param ticketKeys 48 octets that all processes share, so that a client resumes its TLS session with any of them.
 */
export function secureContext({ cert, key }: CertificatePair, ticketKeys: Buffer): SecureContext {
  return createSecureContext({
    ...{ cert, key, ticketKeys, minVersion: 'TLSv1.2', honorCipherOrder: true, sessionIdContext: 'postern' },
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20',
  });
}

function readPem(file: string, setting: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new OperatorError(`${setting}: cannot read ${file} (${codeOf(error) || messageOf(error)})`);
  }
}
