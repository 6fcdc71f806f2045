// Changes of keys, in the name of somebody. Promise: a change, its announcement and its entry in the audit log are one
// step, every change gets a new generation, and none is made to a key that is not as it was when it was decided.
import { StoreUnavailable, type RedisClient } from '../base/redis.js';
import { Script } from '../base/script.js';
import { APPEND_AUDIT, AUDIT_KEYS, type AuditLog } from './audit.js';
import { describeChange, describeKey } from './audit-details.js';
import type { AuditDraft } from './audit-chain.js';
import { toHash, type KeyRecord } from './record.js';
import { CHANGES, GENERATION, INDEX, KEY_PREFIX, keyOf, KeyStore } from './store.js';

/**
 * Allowed when Redis is full: a client that fills it must be stopped by revoking its key.
 * KEYS: key hash, index, generation counter, audit stream, audit head. ARGV: five arguments of append_audit, id, channel,
 * created_at ('' = the key must exist), the prefix of key hashes, most keys that there may be, the generation that the
 * key must have ('' = a new key), field, value...
 * Returns the new generation, 0 when the key to change does not exist, -1 when there are too many keys that are not
 * revoked, -2 when the key has another generation, the tip of the audit log when another entry was first.
 */
const WRITE = `#!lua flags=allow-oom
${APPEND_AUDIT}
local id, channel, created, prefix, max, expected = unpack(ARGV, 6, 11)
local exists = redis.call('EXISTS', KEYS[1]) == 1
if created == '' and not exists then return 0 end
if created == '' and redis.call('HGET', KEYS[1], 'generation') ~= expected then return -2 end
if created ~= '' and redis.call('ZCARD', KEYS[2]) >= tonumber(max) then
  local live = 0
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if redis.call('HGET', prefix .. id, 'revoked_at') == '0' then live = live + 1 end
  end
  if live >= tonumber(max) then return -1 end
end
local tip = append_audit(KEYS[4], KEYS[5], unpack(ARGV, 1, 5))
if tip then return tip end
local generation = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[1], 'generation', generation, unpack(ARGV, 12))
if created ~= '' then redis.call('ZADD', KEYS[2], created, id) end
redis.call('PUBLISH', channel, id)
return generation`;

const write = new Script(WRITE);

/** What can change about a key. */
export type KeyChange = Partial<
  Pick<
    KeyRecord,
    'name' | 'scopes' | 'restrictions' | 'revokedAt' | 'hash' | 'previousHash' | 'previousUntil' | 'rotatedAt'
  >
>;

/** Others may change the same key at the same time so often. */
const MAX_TRIES = 20;

export class KeyEditor extends KeyStore {
  /** @param actor whom the audit log names. */
  constructor(
    redis: RedisClient,
    private readonly audit: AuditLog,
    private readonly actor: string,
  ) {
    super(redis);
  }

  /** The same in another name. */
  as(actor: string): KeyEditor {
    return new KeyEditor(this.redis, this.audit, actor);
  }

  /** Writes a new key. @returns false when there are `maxKeys` already that are not revoked. @throws StoreUnavailable */
  async insert(record: KeyRecord, maxKeys: number): Promise<boolean> {
    const draft = { actor: this.actor, action: 'create' as const, key: record.id, details: describeKey(record) };
    const bounds = [String(record.createdAt), KEY_PREFIX, maxKeys, ''];
    return (await this.#write(draft, record.id, bounds, toHash(record))) > 0;
  }

  /**
   * Changes what is given of a key. @param change what to change, or how to decide it from the key as it stands now: it
   * is asked again when somebody else was faster. A change that changes nothing is not made.
   * @returns the key as it is now, undefined when there is no such key. @throws StoreUnavailable
   */
  async update(
    id: string,
    change: KeyChange | ((before: KeyRecord) => KeyChange | Promise<KeyChange>),
  ): Promise<KeyRecord | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const before = await this.find(id);
      if (!before) return undefined;
      const after = { ...before, ...(typeof change === 'function' ? await change(before) : change) };
      const described = describeChange(before, after);
      if (!described) return before;
      const bounds = ['', KEY_PREFIX, 0, before.generation];
      const generation = await this.#write({ actor: this.actor, key: id, ...described }, id, bounds, toHash(after));
      if (generation > 0) return { ...after, generation };
    }
    throw new StoreUnavailable(`key ${id} could not be changed: too many changes at the same time`);
  }

  async #write(
    draft: Omit<AuditDraft, 'at'>,
    id: string,
    bounds: (string | number)[],
    hash: Record<string, string>,
  ): Promise<number> {
    const fields = Object.entries(hash).filter(([name]) => name !== 'generation');
    const keys = [keyOf(id), INDEX, GENERATION, ...AUDIT_KEYS];
    const answer = await this.audit.write(draft, (args) =>
      write.run(this.redis, keys, [...args, id, CHANGES, ...bounds, ...fields.flat()]),
    );
    return Number(answer);
  }
}
