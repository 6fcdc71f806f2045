// A key as Redis keeps it: one hash, no secret in it, only the HMAC of the key. Field names are part of the store's
// format; a field that cannot be read makes the key unusable, never freer.
import * as z from 'zod';
import type { Restrictions } from './policy.js';

export interface KeyRecord {
  id: string;
  name: string;
  /** HMAC-SHA-256 of the whole key under the pepper, base64url. */
  hash: string;
  /** The same of the secret that was replaced last, '' when none was. It is good before `previousUntil` alone. */
  previousHash: string;
  /** Milliseconds since the epoch, or 0. */
  previousUntil: number;
  rotatedAt: number;
  /** `['*']` for full access. */
  scopes: string[];
  restrictions: Restrictions;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Rises with every change of any key; a session whose key has another generation looks again. */
  generation: number;
  /** Milliseconds since the epoch, or 0. */
  revokedAt: number;
  lastUsedAt: number;
  /** Client address of the last use, '' when unused. */
  lastUsedFrom: string;
}

const count = z.number().nonnegative();
const allowance = z.strictObject({ messages: z.number().positive(), seconds: z.number().positive() });

/** Strict: a restriction that this version does not know must not be passed over. */
const restrictionsSchema: z.ZodType<Restrictions> = z
  .strictObject({
    ...{ from: z.array(z.string()), to: z.array(z.string()), ips: z.array(z.string()) },
    ...{ expires_at: count, rate: allowance, quota: allowance, max_bytes: count, max_recipients: count },
    require_tls: z.boolean(),
  })
  .partial();

export function toHash(record: KeyRecord): Record<string, string> {
  return {
    name: record.name,
    hash: record.hash,
    previous_hash: record.previousHash,
    previous_until: String(record.previousUntil),
    rotated_at: String(record.rotatedAt),
    scopes: JSON.stringify(record.scopes),
    restrictions: JSON.stringify(record.restrictions),
    created_at: String(record.createdAt),
    generation: String(record.generation),
    revoked_at: String(record.revokedAt),
  };
}

/** Not NaN, with which every comparison is false: a key would be neither revoked nor its old secret at an end. */
function whole(text: string | undefined): number {
  if (text === undefined || !/^\d{1,16}$/.test(text)) throw new Error('a number is damaged');
  return Number(text);
}

/** @throws when a field is damaged. */
export function fromHash(id: string, hash: Record<string, string>): KeyRecord | undefined {
  if (hash.hash === undefined) return undefined;
  return {
    id,
    name: hash.name ?? '',
    hash: hash.hash,
    previousHash: hash.previous_hash ?? '',
    previousUntil: whole(hash.previous_until ?? '0'),
    rotatedAt: whole(hash.rotated_at ?? '0'),
    scopes: z.array(z.string()).parse(JSON.parse(hash.scopes ?? '')),
    restrictions: restrictionsSchema.parse(JSON.parse(hash.restrictions ?? '')),
    createdAt: whole(hash.created_at),
    generation: whole(hash.generation),
    revokedAt: whole(hash.revoked_at),
    lastUsedAt: whole(hash.last_used_at ?? '0'),
    lastUsedFrom: hash.last_used_from ?? '',
  };
}
