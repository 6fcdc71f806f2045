// What a key looks like: `SG.<22>.<43>`, as SendGrid's. The first part is the id (a UUIDv4), the second 32 octets:
// 28 random ones and a CRC-32 over prefix, id and those 28, so that a mistyped or invented key is refused without
// asking Redis, and a secret scanner can tell a real key from a look-alike.
import { crc32 } from 'node:zlib';
import { ID_PATTERN, randomId, type Random } from '../base/ids.js';

export interface KeyParts {
  id: string;
  /** The whole key: what is hashed. */
  text: string;
}

const RANDOM_OCTETS = 28;
const SECRET_PATTERN = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/** A new key. Its text is shown once and stored nowhere. */
export function makeKey(prefix: string, random: Random): KeyParts {
  // An id that begins with a dash would be taken for an option on a command line.
  let id = randomId(random);
  while (id.startsWith('-')) id = randomId(random);
  return makeSecret(prefix, id, random);
}

/** A key of this id with a new secret. */
export function makeSecret(prefix: string, id: string, random: Random): KeyParts {
  const secret = secretOf(prefix, id, random(RANDOM_OCTETS));
  return { id, text: `${prefix}.${id}.${secret.toString('base64url')}` };
}

/** The parts of a well-formed key with a right checksum, or undefined. */
export function parseKey(prefix: string, text: string): KeyParts | undefined {
  const parts = text.split('.');
  const [head, id, secret] = parts;
  if (parts.length !== 3 || head !== prefix || !ID_PATTERN.test(id!) || !SECRET_PATTERN.test(secret!)) return undefined;
  const octets = Buffer.from(secret!, 'base64url');
  return secretOf(prefix, id!, octets.subarray(0, RANDOM_OCTETS)).equals(octets) ? { id: id!, text } : undefined;
}

function secretOf(prefix: string, id: string, entropy: Buffer): Buffer {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(entropy, crc32(`${prefix}.${id}`)));
  return Buffer.concat([entropy, checksum]);
}
