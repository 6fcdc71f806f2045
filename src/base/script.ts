// Runs a Lua script by its hash; the text goes over the wire once per server.
import { createHash } from 'node:crypto';
import type { ChainableCommander } from 'ioredis';
import { messageOf } from './fault.js';
import { storeFault, throwStoreFault, type RedisClient } from './redis.js';

type Argument = string | number | Buffer;

export class Script {
  readonly #sha: string;

  constructor(private readonly text: string) {
    this.#sha = createHash('sha1').update(text).digest('hex');
  }

  /** @returns what the script returns. @throws StoreUnavailable, StoreFull */
  async run(redis: RedisClient, keys: string[], args: Argument[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!messageOf(error).startsWith('NOSCRIPT')) throw storeFault(error);
    }
    return redis.eval(this.text, keys.length, ...keys, ...args).catch(throwStoreFault);
  }

  /**
   * As `run`, in one transaction behind the commands that `queue` adds: all is done in one go, and synced once.
   * @throws StoreUnavailable, StoreFull: then none of it was done, or nobody knows
   */
  async runBehind(
    redis: RedisClient,
    queue: (transaction: ChainableCommander) => void,
    keys: string[],
    args: Argument[],
  ): Promise<unknown> {
    const transaction = redis.multi();
    queue(transaction);
    transaction.evalsha(this.#sha, keys.length, ...keys, ...args);
    const [error, result] = (await transaction.exec().catch(throwStoreFault))?.at(-1) ?? [new Error('no reply'), null];
    if (!error) return result;
    if (messageOf(error).startsWith('NOSCRIPT')) return this.run(redis, keys, args);
    throw storeFault(error);
  }
}
