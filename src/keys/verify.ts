// Is this a key, and may it be used from there, now? The answer is a value; a bad key never throws.
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { StoreUnavailable } from '../base/redis.js';
import type { KeyDirectory } from './directory.js';
import { hashKey } from './pepper.js';
import { networkMatches } from './policy.js';
import type { KeyRecord } from './record.js';
import { parseKey } from './shape.js';

export type Verdict =
  | { kind: 'valid'; key: KeyRecord }
  | { kind: 'malformed' }
  | { kind: 'unknown' }
  | { kind: 'revoked' | 'expired' | 'denied-ip'; key: KeyRecord }
  | { kind: 'unavailable'; fault: StoreUnavailable };

export class KeyVerifier {
  constructor(
    private readonly directory: Pick<KeyDirectory, 'find' | 'cached'>,
    private readonly settings: { prefix: string; pepper: string },
    private readonly clock: Clock,
  ) {}

  /** Judges a key as it was presented by a client at `address`. Malformed keys cost no round trip. */
  async verify(text: string, address: string): Promise<Verdict> {
    const parts = parseKey(this.settings.prefix, text);
    if (!parts) return { kind: 'malformed' };
    const found = await this.#find(parts.id);
    if (!found || found instanceof StoreUnavailable) return absent(found);
    return this.#matches(found, parts.text) ? this.#judge(found, address) : { kind: 'unknown' };
  }

  /** Whether to judge `text` means to ask Redis: it has the shape of a key, and memory does not know it. */
  needsStore(text: string): boolean {
    const parts = parseKey(this.settings.prefix, text);
    return parts !== undefined && !this.directory.cached(parts.id);
  }

  /**
   * Judges a key that was verified before. No I/O while nothing has changed: then the answer is not a promise.
   * @param id the key's id, from the session.
   */
  recheck(id: string, address: string): Verdict | Promise<Verdict> {
    const known = this.directory.cached(id);
    return known ? this.#judge(known, address) : this.#recheckStored(id, address);
  }

  async #recheckStored(id: string, address: string): Promise<Verdict> {
    const found = await this.#find(id);
    return !found || found instanceof StoreUnavailable ? absent(found) : this.#judge(found, address);
  }

  async #find(id: string): Promise<KeyRecord | StoreUnavailable | undefined> {
    try {
      return await this.directory.find(id);
    } catch (error) {
      if (error instanceof StoreUnavailable) return error;
      throw error;
    }
  }

  #matches(record: KeyRecord, text: string): boolean {
    const stored = Buffer.from(record.hash);
    const computed = Buffer.from(hashKey(this.settings.pepper, text));
    return stored.length === computed.length && timingSafeEqual(stored, computed);
  }

  #judge(key: KeyRecord, address: string): Verdict {
    if (key.revokedAt > 0) return { kind: 'revoked', key };
    const { expires_at: expiresAt, ips } = key.restrictions;
    if (expiresAt !== undefined && this.clock.now() >= expiresAt * 1000) return { kind: 'expired', key };
    if (ips && !networkMatches(ips, address)) return { kind: 'denied-ip', key };
    return { kind: 'valid', key };
  }
}

function absent(fault: StoreUnavailable | undefined): Verdict {
  return fault ? { kind: 'unavailable', fault } : { kind: 'unknown' };
}
