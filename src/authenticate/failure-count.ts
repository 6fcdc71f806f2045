// Failed logins by client address and by the wider network, counted in Redis for all processes and both doors. Each is
// a level that rises with a failure and sinks evenly, so that nothing is forgotten at once at the end of a window.
// The same wrong credentials again tell a guesser nothing: they are an old key in some configuration, count half for
// the address and nothing for the network. Credentials are known by an HMAC alone.
import type { ClientNetworks } from '../base/address.js';
import { throwStoreFault, type RedisClient } from '../base/redis.js';
import { Script } from '../base/script.js';

export interface FailureLimits {
  /** 0 = no bound, also below. */
  maxFailuresPerAddress: number;
  maxFailuresPerNetwork: number;
  windowSeconds: number;
  blockSeconds: number;
}

export type BlockScope = keyof ClientNetworks;

export interface FailureLevel {
  /** Part of the bound that is used up, 1 at the bound. */
  share: number;
  /** Milliseconds since the epoch until which guesses are blocked, 0 when they are not. */
  blockedUntil: number;
}

export interface FailureState extends Record<BlockScope, FailureLevel> {
  /** Blocks that began with this failure. */
  begun: BlockScope[];
}

export interface Block {
  /** The address or network. */
  client: string;
  blockedUntil: number;
}

const REPEAT = 0.5;
/** Credentials that are remembered by network. */
const MAX_SEEN = 500;
const MAX_LISTED = 1000;
const NO_BOUND = 1e12;
const BLOCKED = 'postern:{guard}:blocked';

/**
 * KEYS: level of the address, level of the network, fingerprints seen in the network. ARGV: now ms, fingerprint, window
 * ms, block ms, bound of the address, bound of the network, weight of a repetition for the address, most fingerprints.
 * While a block lasts, nothing is counted for it. Returns for each level: level (text), blocked until (text), begun 0/1.
 */
const FAIL = `
local now, window, block = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local new = redis.call('SISMEMBER', KEYS[3], ARGV[2]) == 0
if new and redis.call('SCARD', KEYS[3]) < tonumber(ARGV[8]) then
  redis.call('SADD', KEYS[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[3], window)
end
local weights = {new and 1 or tonumber(ARGV[7]), new and 1 or 0}
local answer = {}
for i = 1, 2 do
  local bound = tonumber(ARGV[4 + i])
  local was = redis.call('HMGET', KEYS[i], 'level', 'at', 'until')
  local level = math.max(0, tonumber(was[1] or 0) - math.max(0, now - tonumber(was[2] or now)) * bound / window)
  local stop, begun = tonumber(was[3] or 0), 0
  if stop <= now then
    stop, level = 0, level + weights[i]
    if level > bound then stop, begun = now + block, 1 end
    redis.call('HSET', KEYS[i], 'level', string.format('%.3f', level), 'at', ARGV[1], 'until', string.format('%.0f', stop))
    redis.call('PEXPIRE', KEYS[i], math.max(window, block) + 1000)
  end
  answer[#answer + 1] = string.format('%.3f', level)
  answer[#answer + 1] = string.format('%.0f', stop)
  answer[#answer + 1] = begun
end
return answer`;

const countFailure = new Script(FAIL);

/** What FAIL returns. */
type FailReply = [string, string, number, string, string, number];

export class FailureCount {
  readonly #bounds: Record<BlockScope, number>;

  constructor(
    private readonly redis: RedisClient,
    private readonly limits: FailureLimits,
  ) {
    this.#bounds = {
      address: limits.maxFailuresPerAddress || NO_BOUND,
      network: limits.maxFailuresPerNetwork || NO_BOUND,
    };
  }

  /** Counts a failure. @throws StoreUnavailable */
  async fail(client: ClientNetworks, fingerprint: string, now: number): Promise<FailureState> {
    if (this.redis.status !== 'ready') throwStoreFault(new Error('Redis is away'));
    const { windowSeconds, blockSeconds } = this.limits;
    const bounds = [windowSeconds * 1000, blockSeconds * 1000, this.#bounds.address, this.#bounds.network];
    const args = [now, fingerprint, ...bounds, REPEAT, MAX_SEEN];
    const answer = (await countFailure.run(this.redis, keysOf(client), args)) as FailReply;
    const state: FailureState = {
      address: { share: Number(answer[0]) / this.#bounds.address, blockedUntil: Number(answer[1]) },
      network: { share: Number(answer[3]) / this.#bounds.network, blockedUntil: Number(answer[4]) },
      begun: [...(answer[2] ? (['address'] as const) : []), ...(answer[5] ? (['network'] as const) : [])],
    };
    // Only for the operator's list: nothing is decided by it.
    for (const scope of state.begun) void this.#list(client[scope], state[scope].blockedUntil, now).catch(() => {});
    return state;
  }

  /** Until when guesses of a client are blocked, 0 when they are not. @throws StoreUnavailable */
  async blockedUntil(client: ClientNetworks, now: number): Promise<number> {
    const stops = await Promise.all(
      keysOf(client)
        .slice(0, 2)
        .map((key) => this.redis.hget(key, 'until').catch(throwStoreFault)),
    );
    const until = Math.max(...stops.map(Number));
    return until > now ? until : 0;
  }

  /** What is blocked now. @throws StoreUnavailable */
  async blocks(now: number): Promise<Block[]> {
    const listed = await this.redis.zrangebyscore(BLOCKED, now, '+inf', 'WITHSCORES').catch(throwStoreFault);
    const blocks: Block[] = [];
    for (let at = 0; at < listed.length; at += 2) {
      blocks.push({ client: listed[at]!, blockedUntil: Number(listed[at + 1]) });
    }
    return blocks;
  }

  /** Forgets the failures of a client, and those of its network. @returns whether there were any. */
  async clear(client: ClientNetworks): Promise<boolean> {
    const forgotten = await this.redis.del(...keysOf(client)).catch(throwStoreFault);
    await this.redis.zrem(BLOCKED, client.address, client.network).catch(throwStoreFault);
    return forgotten > 0;
  }

  async #list(client: string, until: number, now: number): Promise<void> {
    await this.redis.zadd(BLOCKED, until, client);
    await this.redis.zremrangebyscore(BLOCKED, '-inf', now);
    await this.redis.zremrangebyrank(BLOCKED, 0, -MAX_LISTED - 1);
  }
}

/** On a Redis Cluster, all that is known of a network is in one place. */
function keysOf({ address, network }: ClientNetworks): [string, string, string] {
  const base = `postern:{guard:${network}}`;
  return [`${base}:address:${address}`, `${base}:network`, `${base}:seen`];
}

/** The same in the memory of one process, for the time in which Redis is away or full. Bounded: the oldest go first. */
export class LocalFailureCount {
  readonly #levels = new Map<string, { level: number; at: number; blockedUntil: number; last: string }>();

  constructor(
    private readonly limits: FailureLimits,
    private readonly maxEntries = 10_000,
  ) {}

  fail({ address, network }: ClientNetworks, fingerprint: string, now: number): FailureState {
    const state: FailureState = { address: NO_LEVEL, network: NO_LEVEL, begun: [] };
    const { maxFailuresPerAddress, maxFailuresPerNetwork } = this.limits;
    const isNew = this.#levels.get(address)?.last !== fingerprint;
    const count = (scope: BlockScope, name: string, bound: number, weight: number): void => {
      const was = this.#levels.get(name) ?? { level: 0, at: now, blockedUntil: 0, last: '' };
      const sunk = ((now - was.at) * bound) / (this.limits.windowSeconds * 1000);
      const level = Math.max(0, was.level - Math.max(0, sunk)) + weight;
      const begins = was.blockedUntil <= now && level > bound;
      const blockedUntil = begins
        ? now + this.limits.blockSeconds * 1000
        : was.blockedUntil > now
          ? was.blockedUntil
          : 0;
      this.#keep(name, { level: Math.min(level, bound + 1), at: now, blockedUntil, last: fingerprint });
      if (begins) state.begun.push(scope);
      state[scope] = { share: level / bound, blockedUntil };
    };
    count('address', address, maxFailuresPerAddress || NO_BOUND, isNew ? 1 : REPEAT);
    count('network', network, maxFailuresPerNetwork || NO_BOUND, isNew ? 1 : 0);
    return state;
  }

  #keep(name: string, entry: { level: number; at: number; blockedUntil: number; last: string }): void {
    this.#levels.delete(name);
    if (this.#levels.size >= this.maxEntries) this.#levels.delete(this.#levels.keys().next().value!);
    this.#levels.set(name, entry);
  }
}

const NO_LEVEL: FailureLevel = { share: 0, blockedUntil: 0 };
