// All certificates of the server: the one for everybody, and those for clients that ask for another name (SNI,
// RFC 6066 3). Promise: a set is read whole or not at all, and every context of it has the same rules for TLS.
import type { SecureContext } from 'node:tls';
import {
  dateRemark,
  readCertificate,
  secureContext,
  type CertificateFiles,
  type CertificatePair,
} from './certificate.js';
import { readCertificateFolder, type NamedCertificate } from './certificate-folder.js';

export interface CertificateSet {
  /** For clients that ask for no name, or for one that no other certificate has. */
  pair: CertificatePair;
  named: NamedCertificate[];
}

export interface CertificateSources {
  files: CertificateFiles;
  /** `tls.certificates`. */
  folder: string | null;
}

/** By host name; `*.example.com` is any one label in front, `*` any other name and none. */
export type Contexts = Map<string, SecureContext>;

/** @returns the set, and remarks for the operator. @throws OperatorError that names every file and its fault */
export function readCertificateSet({ files, folder }: CertificateSources, now: number) {
  const pair = readCertificate(files);
  const { named, remarks } = folder ? readCertificateFolder(folder, now) : { named: [], remarks: [] };
  const own = dateRemark(pair.cert, files.cert, now) ?? [];
  return { set: { pair, named } satisfies CertificateSet, remarks: remarks.concat(own) };
}

interface CertificateSettings {
  cert: string | null;
  key: string | null;
  certificates: string | null;
}

/** What a start would remark on the certificates that are configured. @throws OperatorError as a start would */
export function checkCertificates({ cert, key, certificates }: CertificateSettings, now: number): string[] {
  if (cert && key) return readCertificateSet({ files: { cert, key }, folder: certificates }, now).remarks;
  return certificates ? readCertificateFolder(certificates, now).remarks : [];
}

/** @param ticketKeys 48 octets that all processes share. */
export function makeContexts({ pair, named }: CertificateSet, ticketKeys: Buffer): Contexts {
  const contexts: Contexts = new Map([['*', secureContext(pair, ticketKeys)]]);
  for (const each of named) {
    const context = secureContext(each, ticketKeys);
    for (const name of each.names) contexts.set(name, context);
  }
  return contexts;
}

/** RFC 6125 6.4.3: the name itself, else a wildcard for its first label, else the one for everybody. */
export function contextFor(contexts: Contexts, serverName: string): SecureContext {
  const name = serverName.toLowerCase();
  const found = contexts.get(name) ?? contexts.get(name.replace(/^[^.]+(?=\.)/, '*'));
  return found ?? contexts.get('*')!;
}
