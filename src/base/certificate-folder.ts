// Certificates for further names: a folder with one folder for each, as certbot keeps them (/etc/letsencrypt/live).
// Promise: all of them work, or none is taken and everything that is wrong is said.
import { X509Certificate } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { dateRemark, readCertificate, type CertificateFiles, type CertificatePair } from './certificate.js';
import { codeOf, messageOf, OperatorError } from './fault.js';

export interface NamedCertificate extends CertificatePair {
  /** Of its subjectAltName, in small letters; `*.example.com` stands for one label. No other certificate has them. */
  names: string[];
}

/** What is in a folder, before it is known who gets a name that two have. */
interface Found extends NamedCertificate {
  file: string;
  validTo: number;
}

const SETTING = 'tls.certificates';
const CERT = 'fullchain.pem';
const KEY = 'privkey.pem';
const FAULTS: Record<string, string> = {
  ENOENT: 'no such folder',
  ENOTDIR: 'not a folder',
  EACCES: 'not readable for this user',
};

/** The pairs in `folder`. In dot files, plain files and folders without a pair is none. @throws OperatorError */
export function pairsIn(folder: string): CertificateFiles[] {
  const pairs = list(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory())
    .filter((path) => list(path).some((name) => name === CERT || name === KEY))
    .map((path) => ({ cert: join(path, CERT), key: join(path, KEY) }));
  if (pairs.length > 0) return pairs;
  throw new OperatorError(`${SETTING}: there is no pair in ${folder}; expected NAME/${CERT} and NAME/${KEY}`);
}

/**
 * The pairs in `folder`, and remarks for the operator: dates that are over, names that two certificates have. Such a
 * name goes to the one that is valid longer. @throws OperatorError that names every file and its fault
 */
export function readCertificateFolder(folder: string, now: number): { named: NamedCertificate[]; remarks: string[] } {
  const problems: string[] = [];
  const found = pairsIn(folder).flatMap((each) => {
    try {
      return [readFound(each)];
    } catch (error) {
      problems.push(messageOf(error));
      return [];
    }
  });
  if (problems.length > 0) throw new OperatorError(problems.join('\n'));
  const dates = found.flatMap(({ cert, file }) => dateRemark(cert, file, now) ?? []);
  const { named, remarks } = shareNames(found.sort((one, other) => other.validTo - one.validTo));
  return { named, remarks: [...dates, ...remarks] };
}

function readFound(files: CertificateFiles): Found {
  const file = files.cert;
  const pair = readCertificate(files, { cert: SETTING, key: SETTING });
  const { subjectAltName = '', validTo } = new X509Certificate(pair.cert);
  const names = subjectAltName
    .split(', ')
    .flatMap((entry) => /^DNS:((?:\*\.)?[\w.-]+)$/.exec(entry)?.[1]?.toLowerCase() ?? []);
  if (names.length === 0) throw new OperatorError(`${SETTING}: ${file} names no host (subjectAltName)`);
  return { ...pair, names, file, validTo: Date.parse(validTo) };
}

/** @param found that which is valid longest first. */
function shareNames(found: Found[]): { named: NamedCertificate[]; remarks: string[] } {
  const owners = new Map<string, string>();
  const remarks: string[] = [];
  const named = found.map(({ cert, key, names, file }) => ({
    ...{ cert, key },
    names: [...new Set(names)].filter((name) => {
      const owner = owners.get(name);
      if (owner === undefined) return owners.set(name, file);
      remarks.push(`${SETTING}: ${name} is in ${owner} and in ${file}; the first is shown, it is valid longer`);
      return false;
    }),
  }));
  return { named, remarks };
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    throw new OperatorError(
      `${SETTING}: cannot read ${folder} (${(FAULTS[codeOf(error)] ?? codeOf(error)) || messageOf(error)})`,
    );
  }
}
