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

/** The delivering side of this process, for a put that may claim for it in the same step. */
export interface Claimer {
  readonly consumer: string;
  /** Whether it would begin one more message now; then `receive` must follow. */
  expect(): boolean;
  /** What was claimed, if anything; `put` when it is the message that was put. */
  receive(claim?: { sid: string; id: string }, put?: { record: MessageRecord; octets: Buffer }): void;
}

/** Makes messages durable in one step, all or none. @returns `once.answer`, or that of an earlier call with its key. */
export async function putTogether(
  redis: RedisClient,
  shard: Shard,
  puts: Put[],
  now: number,
  once?: Once,
  claimer?: Claimer,
): Promise<string> {
  const { ready, index, later, batches } = shard;
  const keys = puts.flatMap(({ record }) => [shard.message(record.id), shard.body(record.id)]);
  const finished = puts.map(({ writer, record }) => ({ record, ...writer.finish() }));
  const args = finished.flatMap(({ record, last, appended }) => {
    const { id, acceptedAt, size, sendAt = 0, batchId = '' } = record;
    const due = sendAt > now ? sendAt : '';
    return [id, JSON.stringify(record), acceptedAt, size, last, appended ? 1 : 0, due, batchId];
  });
  const shared = [ready, index, later, batches, shard.once(once?.key ?? '-')];
  const waiting = finished.length === 1 && claimer?.expect() ? claimer : undefined;
  const head = [once?.answer ?? '', ONCE_SECONDS, now, waiting?.consumer ?? ''];
  const reply = put.run(redis, [...shared, ...keys], [...head, ...args]) as Promise<[string, string, string]>;
  const [answer, sid, id] = await reply.catch((error: unknown) => {
    waiting?.receive();
    throw error;
  });
  const own = finished.find(({ record, appended }) => record.id === id && !appended);
  waiting?.receive(sid ? { sid, id } : undefined, own && { record: own.record, octets: own.last });
  return answer;
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
