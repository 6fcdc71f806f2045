// Ids that are safe in a header, a URL and a Redis key: 128 bits in base64url, 22 characters.
// Randomness is an argument, so that tests can fix it.
import { randomBytes } from 'node:crypto';

/** Returns `size` random bytes. */
export type Random = (size: number) => Buffer;

export const systemRandom: Random = (size) => randomBytes(size);

const POOL_BYTES = 4096;

/** For ids, which are no secrets: asking the system costs more than an id does, so it is asked for many at once. */
export function pooledRandom(random: Random = systemRandom): Random {
  let pool: Buffer = Buffer.alloc(0);
  return (size) => {
    if (pool.length < size) pool = random(POOL_BYTES);
    const bytes = pool.subarray(0, size);
    pool = pool.subarray(size);
    return bytes;
  };
}

/** What every id of ours looks like: 22 base64url characters, the last of which carries four unused zero bits. */
export const ID_PATTERN = /^[A-Za-z0-9_-]{21}[AQgw]$/;

/** A UUID version 7 (RFC 9562 5.7) in base64url: the time in milliseconds, then 74 random bits. */
export function timeOrderedId(nowMs: number, random: Random = systemRandom): string {
  const bytes = random(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  return uuid(bytes, 7);
}

/** A UUID version 4 (RFC 9562 5.4) in base64url. */
export function randomId(random: Random = systemRandom): string {
  return uuid(random(16), 4);
}

function uuid(bytes: Buffer, version: number): string {
  bytes[6] = (bytes[6]! & 0x0f) | (version << 4);
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('base64url');
}
