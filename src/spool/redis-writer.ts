// A message on its way into Redis. A small one goes in one step; a large one is appended piece by piece under a key
// that expires by itself, so that a client or a process that vanishes leaves nothing behind.
import { Octets } from '../base/octets.js';
import { storeFault, type RedisClient } from '../base/redis.js';
import type { MessageRecord } from '../message/envelope.js';
import { UNFINISHED_SECONDS, type Finished, type RedisPuts } from './redis-puts.js';
import type { Shard } from './shard.js';
import type { SpoolWriter } from './spool.js';

/** Octets that a writer holds before it appends them. */
export const PIECE_BYTES = 262_144;

export class RedisWriter implements SpoolWriter {
  readonly #octets = new Octets();
  #appended = false;
  #committing = false;
  /** Octets that Redis has not answered for yet. */
  #inFlight = 0;

  constructor(
    private readonly redis: RedisClient,
    private readonly shard: Shard,
    private readonly puts: RedisPuts,
    private readonly id: string,
  ) {}

  get buffered(): number {
    return this.#octets.length + this.#inFlight;
  }

  async write(chunk: Buffer): Promise<void> {
    this.#octets.append(chunk);
    if (this.#octets.length >= PIECE_BYTES) await this.#append();
  }

  async flush(): Promise<void> {
    if (this.#octets.length > 0) await this.#append();
  }

  async commit(record: MessageRecord): Promise<void> {
    await this.puts.put([this.finish(record)], record.acceptedAt);
  }

  /** What is left to write, for the step that makes the message durable. */
  finish(record: MessageRecord): Finished {
    this.#committing = true;
    const [last, appended] = [this.#octets.take(), this.#appended];
    return { record, last, appended, whole: appended ? undefined : last };
  }

  async abort(): Promise<void> {
    this.#octets.take();
    // A commit whose answer was lost may have happened: its octets are left to it, or to their expiry.
    if (this.#appended && !this.#committing) await this.redis.unlink(this.shard.body(this.id)).catch(() => 0);
  }

  async #append(): Promise<void> {
    const key = this.shard.body(this.id);
    const piece = this.#octets.take();
    this.#inFlight = piece.length;
    this.#appended = true;
    try {
      const results = await this.redis.multi().append(key, piece).expire(key, UNFINISHED_SECONDS).exec();
      const failed = results?.find(([error]) => error)?.[0];
      if (failed) throw failed;
    } catch (error) {
      throw storeFault(error);
    } finally {
      this.#inFlight = 0;
    }
  }
}
