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
  | { kind: 'valid'; key: KeyRecord; secret: Secret }
  | { kind: 'malformed' }
  /** With the key whose secret it is not, where there is such a key. */
  | { kind: 'unknown'; key?: KeyRecord }
  /** `rotated`: a secret that was replaced, and whose time is over. */
  | { kind: 'revoked' | 'expired' | 'denied-ip' | 'rotated'; key: KeyRecord }
  | { kind: 'unavailable'; fault: StoreUnavailable };

/** Which of a key's secrets was shown, without saying it. */
export interface Secret {
  mark: string;
  /** Whether it is the old one of a rotation, which lives on for a while. */
  isOld: boolean;
}

/** Tells the secrets of a key apart: the beginning of its HMAC. */
export const secretMark = (hash: string): string => hash.slice(0, 22);

/** The secret that a key has now. */
export const currentSecret = ({ hash }: KeyRecord): Secret => ({ mark: secretMark(hash), isOld: false });

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
    const hash = hashKey(this.settings.pepper, parts.text);
    const found = await this.#find(parts.id);
    if (!found || found instanceof StoreUnavailable) return absent(found);
    const [isCurrent, isOld] = [isEqual(found.hash, hash), isEqual(found.previousHash, hash)];
    if (!isCurrent && !isOld) return { kind: 'unknown', key: found };
    return this.#judge(found, { mark: secretMark(hash), isOld: !isCurrent }, address);
  }

  /** Whether to judge `text` means to ask Redis: it has the shape of a key, and memory does not know it. */
  needsStore(text: string): boolean {
    const parts = parseKey(this.settings.prefix, text);
    return parts !== undefined && !this.directory.cached(parts.id);
  }

  /**
   * Judges a key that was verified before. No I/O while nothing has changed: then the answer is not a promise.
   * @param id the key's id, and `mark` the mark of the secret that was shown, from the session.
   */
  recheck(id: string, mark: string, address: string): Verdict | Promise<Verdict> {
    const known = this.directory.cached(id);
    return known ? this.#rejudge(known, mark, address) : this.#recheckStored(id, mark, address);
  }

  async #recheckStored(id: string, mark: string, address: string): Promise<Verdict> {
    const found = await this.#find(id);
    return !found || found instanceof StoreUnavailable ? absent(found) : this.#rejudge(found, mark, address);
  }

  /** A secret that was replaced twice has no hash any more: it is over. */
  #rejudge(key: KeyRecord, mark: string, address: string): Verdict {
    if (mark === secretMark(key.hash)) return this.#judge(key, currentSecret(key), address);
    if (mark === secretMark(key.previousHash)) return this.#judge(key, { mark, isOld: true }, address);
    return { kind: 'rotated', key };
  }

  async #find(id: string): Promise<KeyRecord | StoreUnavailable | undefined> {
    try {
      return await this.directory.find(id);
    } catch (error) {
      if (error instanceof StoreUnavailable) return error;
      throw error;
    }
  }

  #judge(key: KeyRecord, secret: Secret, address: string): Verdict {
    if (key.revokedAt > 0) return { kind: 'revoked', key };
    const { expires_at: expiresAt, ips } = key.restrictions;
    if (expiresAt !== undefined && this.clock.now() >= expiresAt * 1000) return { kind: 'expired', key };
    if (secret.isOld && this.clock.now() >= key.previousUntil) return { kind: 'rotated', key };
    if (ips && !networkMatches(ips, address)) return { kind: 'denied-ip', key };
    return { kind: 'valid', key, secret };
  }
}

/** In constant time for hashes of the same length, which all are but the empty one of a key that was never rotated. */
function isEqual(stored: string, computed: string): boolean {
  const [a, b] = [Buffer.from(stored), Buffer.from(computed)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function absent(fault: StoreUnavailable | undefined): Verdict {
  return fault ? { kind: 'unavailable', fault } : { kind: 'unknown' };
}
