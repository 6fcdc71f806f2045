// Several messages on their way into one shard of Redis, made durable by one script: all of them, or none.
import type { RedisClient } from '../base/redis.js';
import type { MessageRecord } from '../message/envelope.js';
import type { RedisPuts } from './redis-puts.js';
import { RedisWriter } from './redis-writer.js';
import type { Shard } from './shard.js';
import type { Once, SpoolGroup, SpoolWriter } from './spool.js';

export class RedisGroup implements SpoolGroup {
  readonly #writers: RedisWriter[] = [];

  constructor(
    private readonly redis: RedisClient,
    private readonly shard: Shard,
    private readonly puts: RedisPuts,
    private readonly once: Once | undefined,
  ) {}

  begin(id: string): SpoolWriter {
    const writer = new RedisWriter(this.redis, this.shard, this.puts, id);
    this.#writers.push(writer);
    return writer;
  }

  commit(records: MessageRecord[], now: number): Promise<string> {
    const finished = this.#writers.map((writer, index) => writer.finish(records[index]!));
    return this.puts.put(finished, now, this.once);
  }
}
