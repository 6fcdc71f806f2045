// Keys in Redis: one hash a key, an index by creation time, a counter that rises with every change and a channel
// that tells of it. Promise: a change and its announcement are one step, and every change gets a new generation.
import type { RedisClient } from '../base/redis.js';
import { StoreUnavailable, throwStoreFault } from '../base/redis.js';
import { fromHash, toHash, type KeyRecord } from './record.js';

const INDEX = 'postern:{keys}:index';
const GENERATION = 'postern:{keys}:generation';
const PEPPER_MARK = 'postern:{keys}:pepper';
const KEY_PREFIX = 'postern:{keys}:key:';
const keyOf = (id: string): string => KEY_PREFIX + id;

/** Messages on this channel are ids of keys that changed. */
export const CHANGES = 'postern:{keys}:changed';

/**
 * Allowed when Redis is full: a client that fills it must be stopped by revoking its key.
 * KEYS: key hash, index, generation counter. ARGV: id, channel, created_at ('' = the key must exist), the prefix of key
 * hashes, most keys that there may be, the generation that the key must have ('' = any), field, value...
 * Returns the new generation, 0 when the key to change does not exist, -1 when there are too many keys that are not
 * revoked, -2 when the key has another generation.
 */
const WRITE = `#!lua flags=allow-oom
local exists = redis.call('EXISTS', KEYS[1]) == 1
if ARGV[3] == '' and not exists then return 0 end
if ARGV[6] ~= '' and redis.call('HGET', KEYS[1], 'generation') ~= ARGV[6] then return -2 end
local max = tonumber(ARGV[5])
if ARGV[3] ~= '' and redis.call('ZCARD', KEYS[2]) >= max then
  local live = 0
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if redis.call('HGET', ARGV[4] .. id, 'revoked_at') == '0' then live = live + 1 end
  end
  if live >= max then return -1 end
end
local generation = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[1], 'generation', generation, unpack(ARGV, 7))
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1]) end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return generation`;

type ChangeableFields = Partial<Pick<KeyRecord, 'name' | 'scopes' | 'restrictions' | 'revokedAt'>>;

export class KeyStore {
  constructor(private readonly redis: RedisClient) {}

  /** Writes a new key. @returns false when there are `maxKeys` already that are not revoked. @throws StoreUnavailable */
  async insert(record: KeyRecord, maxKeys = Infinity): Promise<boolean> {
    const fields = Object.entries(toHash(record)).filter(([name]) => name !== 'generation');
    const bounds = { maxKeys: Number.isFinite(maxKeys) ? maxKeys : Number.MAX_SAFE_INTEGER };
    return (await this.#write(record.id, String(record.createdAt), fields.flat(), bounds)) > 0;
  }

  /**
   * Changes what is given of a key. @param ifGeneration change it only if nobody else has, since it was read.
   * @returns false when there is no such key, or it has changed. @throws StoreUnavailable
   */
  async update(id: string, change: ChangeableFields, ifGeneration?: number): Promise<boolean> {
    const fields: string[] = [];
    if (change.name !== undefined) fields.push('name', change.name);
    if (change.scopes) fields.push('scopes', JSON.stringify(change.scopes));
    if (change.restrictions) fields.push('restrictions', JSON.stringify(change.restrictions));
    if (change.revokedAt !== undefined) fields.push('revoked_at', String(change.revokedAt));
    return (await this.#write(id, '', fields, { ifGeneration })) > 0;
  }

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

  /** Leaves `mark` when there is none yet. @returns the mark that is there: it differs when the pepper does. */
  async markPepper(mark: string): Promise<string> {
    const known = await this.redis.get(PEPPER_MARK).catch(throwStoreFault);
    if (known !== null) return known;
    await this.redis.setnx(PEPPER_MARK, mark).catch(throwStoreFault);
    return (await this.redis.get(PEPPER_MARK).catch(throwStoreFault)) ?? '';
  }

  async #write(
    id: string,
    createdAt: string,
    fields: string[],
    bounds: { maxKeys?: number; ifGeneration?: number | undefined },
  ): Promise<number> {
    const { maxKeys = 0, ifGeneration = '' } = bounds;
    const args = [id, CHANGES, createdAt, KEY_PREFIX, String(maxKeys), String(ifGeneration), ...fields];
    return Number(await this.redis.eval(WRITE, 3, keyOf(id), INDEX, GENERATION, ...args).catch(throwStoreFault));
  }
}
