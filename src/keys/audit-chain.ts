// The audit log as a chain: every entry holds the hash of the one before it, and its own hash is an HMAC under a key
// that Redis never sees. Promise: whoever can write to Redis, but does not have the pepper, can neither add, change,
// reorder nor take out an entry without `breakIn` saying so. Entries cut off at the end, with the head set back to
// match, are the one thing that cannot be seen from the inside.
import { createHmac } from 'node:crypto';
import * as z from 'zod';

export type AuditAction = 'create' | 'update' | 'rotate' | 'revoke' | 'refused';

/** What happened, before it has its place in the chain. */
export interface AuditDraft {
  /** Milliseconds since the epoch. */
  at: number;
  /** `cli:<user>@<host>`, `key:<id>` for a call over HTTP, `server`. */
  actor: string;
  action: AuditAction;
  /** The key that it was done to; none in a summary of refused logins. */
  key?: string;
  /** Never a secret, nor a hash of one. */
  details: Record<string, unknown>;
}

export interface AuditEntry extends AuditDraft {
  /** 1 for the first entry that ever was; no number is left out. */
  seq: number;
  /** Number of the oldest entry that is kept from this one on. */
  first: number;
  /** Hash of the entry before, '' for the very first. */
  prev: string;
}

/** An entry as it is stored: its JSON octet for octet, and the HMAC of it. */
export interface SealedEntry {
  seq: number;
  text: string;
  hash: string;
}

/** What the next entry goes behind. */
export interface Tip {
  seq: number;
  hash: string;
  first: number;
}

export const NO_ENTRIES: Tip = { seq: 0, hash: '', first: 1 };

const schema: z.ZodType<AuditEntry> = z.object({
  ...{ seq: z.number(), first: z.number(), prev: z.string(), at: z.number(), actor: z.string() },
  action: z.enum(['create', 'update', 'rotate', 'revoke', 'refused']),
  key: z.string().optional(),
  details: z.record(z.string(), z.unknown()),
});

/** The key of the chain, derived from the pepper, so that the pepper itself signs nothing but keys. */
export function chainKey(pepper: string): Buffer {
  return createHmac('sha256', pepper).update('postern audit log').digest();
}

const hashEntry = (key: Buffer, text: string): string => createHmac('sha256', key).update(text).digest('base64url');

/** @param maxEntries the oldest beyond so many go. */
export function seal(key: Buffer, draft: AuditDraft, tip: Tip, maxEntries: number): SealedEntry & { first: number } {
  const seq = tip.seq + 1;
  const first = Math.max(tip.first, seq - maxEntries + 1);
  const entry: AuditEntry = { seq, first, prev: tip.hash, ...draft };
  const text = JSON.stringify(entry);
  return { seq, first, text, hash: hashEntry(key, text) };
}

/** The entry, or undefined when what is stored is none. */
export function readEntry(text: string): AuditEntry | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Where a chain is broken: the number of the first bad entry, and what is wrong. */
export interface Break {
  seq: number;
  problem: string;
}

/** Follows the chain from its oldest entry on. Give it all entries in order, then ask for the end. */
export class ChainReader {
  #seq: number;
  #hash: string | undefined;
  #length = 0;

  /** @param head what the newest entry must be. */
  constructor(
    private readonly key: Buffer,
    private readonly head: Tip,
  ) {
    this.#seq = head.first - 1;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns what is wrong with the next entry, if anything. */
  next({ seq, text, hash }: SealedEntry): Break | undefined {
    const expected = this.#seq + 1;
    if (seq !== expected)
      return { seq: expected, problem: seq > expected ? missing(expected, seq - 1) : 'out of order' };
    const entry = readEntry(text);
    if (hash !== hashEntry(this.key, text) || entry?.seq !== seq) return { seq, problem: 'was changed' };
    if (this.#hash !== undefined && entry.prev !== this.#hash) {
      return { seq, problem: 'does not follow the entry before it' };
    }
    this.#seq = seq;
    this.#hash = hash;
    this.#length++;
    return undefined;
  }

  /** @returns what is missing behind the last entry. */
  end(): Break | undefined {
    const { seq, hash } = this.head;
    if (this.#seq < seq) return { seq: this.#seq + 1, problem: missing(this.#seq + 1, seq) };
    if (this.#hash !== undefined && this.#hash !== hash)
      return { seq, problem: 'is not the one that was written last' };
    return undefined;
  }
}

const missing = (from: number, to: number): string =>
  from === to ? 'is missing' : `is missing, and all up to ${to} with it`;
