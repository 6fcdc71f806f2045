// How many messages a key may still send: a rate (any window) and a quota (fixed periods), counted in Redis so that
// all processes and restarts share the count. Only keys with such a restriction cost a round trip.
import type { Principal } from '../authenticate/principal.js';
import type { RateView } from '../authenticate/request-rate.js';
import type { Clock } from '../base/clock.js';
import { throwStoreFault, type RedisClient } from '../base/redis.js';
import { Script } from '../base/script.js';
import { refuse, type Refusal } from '../message/refusal.js';

/**
 * One step for both limits: nothing is counted unless both have room.
 * KEYS: rate, quota. ARGV: now ms, how many to take (0 = look only), rate messages, rate ms, quota messages, quota ms (0 = no limit).
 * Returns {which, wait ms}: which is 0 for room, 1 for the rate, 2 for the quota.
 * The rate is a GCRA: KEYS[1] holds the theoretical arrival time; a burst of all messages of the window may come at once.
 */
const TAKE = `#!lua flags=allow-oom
local now, take = tonumber(ARGV[1]), tonumber(ARGV[2])
local wanted = math.max(1, take)
local rate, rateMs, quota, quotaMs = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local arrival
if rate > 0 then
  local interval = rateMs / rate
  arrival = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0)) + interval * wanted
  local wait = arrival - now - rateMs
  if wait > 0.5 then return {1, math.ceil(wait)} end
end
if quota > 0 and tonumber(redis.call('GET', KEYS[2]) or 0) + wanted > quota then
  return {2, math.max(1, redis.call('PTTL', KEYS[2]))}
end
if take > 0 then
  if rate > 0 then redis.call('SET', KEYS[1], string.format('%.3f', arrival), 'PX', math.ceil(arrival - now) + 1) end
  if quota > 0 and redis.call('INCRBY', KEYS[2], take) == take then redis.call('PEXPIRE', KEYS[2], quotaMs) end
end
return {0, 0}`;

/**
 * Undoes a TAKE whose messages were not accepted, as far as it still counts.
 * KEYS: rate, quota. ARGV: now ms, when it had been taken in ms, how many, rate messages, rate ms, quota messages, quota ms.
 */
const GIVE_BACK = `#!lua flags=allow-oom
local now, takenAt, given, rate, rateMs, quota, quotaMs = unpack(ARGV)
local arrival = redis.call('GET', KEYS[1])
if arrival and tonumber(rate) > 0 then
  redis.call('SET', KEYS[1], string.format('%.3f', arrival - rateMs / rate * given), 'KEEPTTL')
end
local isSamePeriod = now + redis.call('PTTL', KEYS[2]) - quotaMs <= takenAt + 1
if isSamePeriod and tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(given) then
  redis.call('DECRBY', KEYS[2], given)
end`;

const takeRoom = new Script(TAKE);
const giveBack = new Script(GIVE_BACK);

const limitKey = (principal: Principal, kind: string): string => `postern:{limit:${principal.keyId}}:${kind}`;

export class Allowances {
  constructor(
    private readonly redis: RedisClient,
    private readonly clock: Clock,
  ) {}

  /** Whether there is room, without using it: for MAIL, where a client can be told early. */
  look(principal: Principal): Promise<Refusal | undefined> {
    return this.#ask(principal, 0);
  }

  /** Uses the room for so many messages, or for none of them. */
  take(principal: Principal, messages = 1): Promise<Refusal | undefined> {
    return this.#ask(principal, messages);
  }

  /** Gives back what had been taken by `takenAt` for messages that were certainly not kept. */
  async giveBack(principal: Principal, messages: number, takenAt: number): Promise<void> {
    const limited = limitsOf(principal);
    if (!limited) return;
    const { keys, limits } = limited;
    await giveBack.run(this.redis, keys, [this.clock.now(), takenAt, messages, ...limits]);
  }

  /** The room that the rate of a key leaves now, for keys that have one. Counts and writes nothing. */
  async view(principal: Principal): Promise<RateView | undefined> {
    const { rate } = principal.restrictions;
    if (!rate) return undefined;
    const now = this.clock.now();
    const stored = await this.redis.get(limitKey(principal, 'rate')).catch(throwStoreFault);
    const intervalMs = (rate.seconds * 1000) / rate.messages;
    const usedMs = Math.max(0, Number(stored ?? 0) - now);
    const remaining = Math.max(0, Math.floor((rate.seconds * 1000 - usedMs + 0.5) / intervalMs));
    const waitMs = remaining > 0 ? usedMs : usedMs + intervalMs - rate.seconds * 1000;
    return { limit: rate.messages, remaining, resetAt: Math.ceil((now + waitMs) / 1000) };
  }

  async #ask(principal: Principal, take: number): Promise<Refusal | undefined> {
    const limited = limitsOf(principal);
    if (!limited) return undefined;
    const { keys, limits } = limited;
    const answer = await takeRoom.run(this.redis, keys, [this.clock.now(), take, ...limits]);
    const [which, waitMs] = answer as [number, number];
    if (which === 0) return undefined;
    return refuse(which === 1 ? 'rate-limited' : 'quota-exhausted', { seconds: Math.ceil(waitMs / 1000) });
  }
}

/** What the scripts are asked about, with 0 for a limit that is not there; undefined for a key with neither. */
function limitsOf(principal: Principal): { keys: string[]; limits: number[] } | undefined {
  const { rate, quota } = principal.restrictions;
  if (!rate && !quota) return undefined;
  return {
    keys: ['rate', 'quota'].map((kind) => limitKey(principal, kind)),
    limits: [rate, quota].flatMap((limit) => [limit?.messages ?? 0, (limit?.seconds ?? 0) * 1000]),
  };
}
