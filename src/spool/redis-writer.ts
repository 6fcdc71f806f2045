// A message on its way into Redis. A small one goes in one step; a large one is appended piece by piece under a key
// that expires by itself, so that a client or a process that vanishes leaves nothing behind.
import { Octets } from '../base/octets.js';
import { storeFault, type RedisClient } from '../base/redis.js';
import type { MessageRecord } from '../message/envelope.js';
import { Script } from './script.js';
import type { Shard } from './shard.js';
import type { Once, SpoolWriter } from './spool.js';
import { PUT } from './transitions.js';

/** Octets that a writer holds before it appends them. */
export const PIECE_BYTES = 262_144;
/** Life of an unfinished body, renewed with every piece. */
const UNFINISHED_SECONDS = 3600;

/** How long a repeat of a request is recognised. */
const ONCE_SECONDS = 86_400;

const put = new Script(PUT);

interface Put {
  writer: RedisWriter;
  record: MessageRecord;
}

/** Makes messages durable in one step, all or none. @returns `once.answer`, or that of an earlier call with its key. */
export async function putTogether(
  redis: RedisClient,
  shard: Shard,
  puts: Put[],
  now: number,
  once?: Once,
): Promise<string> {
  const { ready, index, later, batches } = shard;
  const keys = puts.flatMap(({ record }) => [shard.message(record.id), shard.body(record.id)]);
  const args = puts.flatMap(({ writer, record }) => {
    const { last, appended } = writer.finish();
    const { id, acceptedAt, size, sendAt = 0, batchId = '' } = record;
    const due = sendAt > now ? sendAt : '';
    return [id, JSON.stringify(record), acceptedAt, size, last, appended ? 1 : 0, due, batchId];
  });
  const head = [once?.answer ?? '', ONCE_SECONDS, now];
  const shared = [ready, index, later, batches, shard.once(once?.key ?? '-')];
  return String(await put.run(redis, [...shared, ...keys], [...head, ...args]));
}

export class RedisWriter implements SpoolWriter {
  readonly #octets = new Octets();
  #appended = false;
  #committing = false;
  /** Octets that Redis has not answered for yet. */
  #inFlight = 0;

  constructor(
    private readonly redis: RedisClient,
    private readonly shard: Shard,
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
    await putTogether(this.redis, this.shard, [{ writer: this, record }], record.acceptedAt);
  }

  /** What is left to write, for the step that makes the message durable. */
  finish(): { last: Buffer; appended: boolean } {
    this.#committing = true;
    return { last: this.#octets.take(), appended: this.#appended };
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
