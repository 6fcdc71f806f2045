// Runs a Lua script by its hash; the text goes over the wire once per server.
import { createHash } from 'node:crypto';
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
}
