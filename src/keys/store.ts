// Keys in Redis: one hash a key, an index by creation time, a counter that rises with every change and a channel
// that tells of it. Here they are read; they are changed by editor.ts alone.
import { maskKeys } from '../base/mask.js';
import type { RedisClient } from '../base/redis.js';
import { StoreUnavailable, throwStoreFault } from '../base/redis.js';
import { fromHash, type KeyRecord } from './record.js';

export const INDEX = 'postern:{keys}:index';
export const GENERATION = 'postern:{keys}:generation';
const PEPPER_MARK = 'postern:{keys}:pepper';
export const KEY_PREFIX = 'postern:{keys}:key:';
export const keyOf = (id: string): string => KEY_PREFIX + id;

/** Messages on this channel are ids of keys that changed. */
export const CHANGES = 'postern:{keys}:changed';

/** A client that used a secret which was replaced. */
export interface OldSecretUser {
  address: string;
  /** What it called itself in EHLO, or `HTTP`. */
  name: string;
}

const MAX_OLD_USERS = 50;
const OLD_USERS_SECONDS = 30 * 86_400;
const oldUsersOf = (id: string, mark: string): string => `postern:{keys}:old:${id}:${mark}`;

export class KeyStore {
  constructor(protected readonly redis: RedisClient) {}

  /** @throws StoreUnavailable, also for a damaged record: a key that cannot be read is not a key that is unknown. */
  async find(id: string): Promise<KeyRecord | undefined> {
    const hash = await this.redis.hgetall(keyOf(id)).catch(throwStoreFault);
    try {
      return fromHash(id, hash);
    } catch (error) {
      throw new StoreUnavailable(`key ${id} is damaged in Redis`, { cause: error });
    }
  }

  /** All keys, newest first. */
  async list(): Promise<KeyRecord[]> {
    const ids = await this.redis.zrevrange(INDEX, 0, -1).catch(throwStoreFault);
    const found: KeyRecord[] = [];
    for (let at = 0; at < ids.length; at += 500) {
      const page = await Promise.all(ids.slice(at, at + 500).map((id) => this.find(id)));
      found.push(...page.filter((record) => record !== undefined));
    }
    return found;
  }

  async count(): Promise<number> {
    return this.redis.zcard(INDEX).catch(throwStoreFault);
  }

  /** The counter that rises with every change of any key. */
  async generation(): Promise<number> {
    return Number((await this.redis.get(GENERATION).catch(throwStoreFault)) ?? 0);
  }

  /** Notes a use. Not a change: nobody is told of it. */
  async touch(id: string, at: number, from: string): Promise<void> {
    await this.redis.hset(keyOf(id), 'last_used_at', String(at), 'last_used_from', from).catch(throwStoreFault);
  }

  /** Notes who used the secret of that mark after it was replaced: the newest users are kept, for a month. */
  async touchOld(id: string, mark: string, at: number, { address, name }: OldSecretUser): Promise<void> {
    const users = oldUsersOf(id, mark);
    const member = JSON.stringify([address, maskKeys(name)]);
    const steps = this.redis
      .multi()
      .zadd(users, at, member)
      .zremrangebyrank(users, 0, -MAX_OLD_USERS - 1);
    await steps.expire(users, OLD_USERS_SECONDS).exec().catch(throwStoreFault);
  }

  /** Who used it, and when last, newest first. */
  async oldUsers(id: string, mark: string): Promise<(OldSecretUser & { at: number })[]> {
    const found = await this.redis.zrevrange(oldUsersOf(id, mark), 0, -1, 'WITHSCORES').catch(throwStoreFault);
    return Array.from({ length: found.length / 2 }, (_each, index) => {
      const [address, name] = JSON.parse(found[2 * index]!) as [string, string];
      return { address, name, at: Number(found[2 * index + 1]) };
    });
  }

  /** Leaves `mark` when there is none yet. @returns the mark that is there: it differs when the pepper does. */
  async markPepper(mark: string): Promise<string> {
    const known = await this.redis.get(PEPPER_MARK).catch(throwStoreFault);
    if (known !== null) return known;
    await this.redis.setnx(PEPPER_MARK, mark).catch(throwStoreFault);
    return (await this.redis.get(PEPPER_MARK).catch(throwStoreFault)) ?? '';
  }
}
