// Batches of scheduled messages in Redis. A batch id is a key that expires; what is paused or cancelled stands in a hash
// of every shard, because the step that lets a message go reads it there. The first shard's is the one that is listed.
import { randomId } from '../base/ids.js';
import { throwStoreFault, type RedisClient } from '../base/redis.js';
import { Script } from '../base/script.js';
import { Shard } from './shard.js';
import type { BatchStatus, SpoolBatches } from './spool.js';
import { SET_BATCH } from './transitions.js';

/** SendGrid's life of a batch id. */
const LIFE_SECONDS = 864_000;

const setBatch = new Script(SET_BATCH);

export class RedisBatches implements SpoolBatches {
  readonly #shards: Shard[];

  constructor(
    private readonly redis: RedisClient,
    settings: { shards: number },
  ) {
    this.#shards = Array.from({ length: settings.shards }, (_none, number) => new Shard(number));
  }

  async create(): Promise<string> {
    const id = randomId();
    await this.redis.set(keyOf(id), '1', 'EX', LIFE_SECONDS).catch(throwStoreFault);
    return id;
  }

  async exists(id: string): Promise<boolean> {
    return (await this.redis.exists(keyOf(id)).catch(throwStoreFault)) === 1;
  }

  async list(): Promise<{ id: string; status: BatchStatus }[]> {
    const all = await this.redis.hgetall(this.#shards[0]!.batches).catch(throwStoreFault);
    const entries = Object.entries(all).map(([id, status]) => ({ id, status: status as BatchStatus }));
    const isLive = await Promise.all(entries.map(({ id }) => this.#isLive(id)));
    return entries.filter((_entry, index) => isLive[index]);
  }

  /** Forgets a batch whose id has expired, unless a pause still holds some of its messages. */
  async #isLive(id: string): Promise<boolean> {
    if (await this.exists(id)) return true;
    const held = this.#shards.map((shard) => this.redis.exists(shard.held(id)));
    if ((await Promise.all(held).catch(throwStoreFault)).includes(1)) return true;
    for (const shard of this.#shards) await this.redis.hdel(shard.batches, id).catch(throwStoreFault);
    return false;
  }

  async statusOf(id: string): Promise<BatchStatus | undefined> {
    const status = await this.redis.hget(this.#shards[0]!.batches, id).catch(throwStoreFault);
    return (status as BatchStatus | null) ?? undefined;
  }

  /** The first shard last: what is listed as set is set everywhere. */
  async setStatus(id: string, status: BatchStatus | undefined, now: number): Promise<void> {
    for (const shard of this.#shards.toReversed()) {
      await setBatch.run(this.redis, [shard.batches, shard.later, shard.held(id)], [id, status ?? '', now]);
    }
  }
}

const keyOf = (id: string): string => `postern:{batches}:${id}`;
