// Messages become durable in Redis: all of a request or none, and small ones of different clients in one call. In the
// same step the delivering side of this process claims as many as it would begin now.
import type { ChainableCommander } from 'ioredis';
import type { RedisClient } from '../base/redis.js';
import type { MessageRecord } from '../message/envelope.js';
import type { FreshMessage } from './fresh.js';
import { Gathering, type Rounds } from './rounds.js';
import { Script } from '../base/script.js';
import type { Shard } from './shard.js';
import type { Once } from './spool.js';
import { PUT } from './transitions.js';

/** How long a repeat of a request is recognised. */
const ONCE_SECONDS = 86_400;
/** Life of an unfinished body, renewed with every piece. */
export const UNFINISHED_SECONDS = 3600;
/** From here on octets go in a command of their own: a script would copy them twice more. */
const OWN_COMMAND_BYTES = 16_384;
/** Messages in one call: small ones, and large ones, which hold up all others while they are written. */
const MOST_TOGETHER = { small: 64, large: 16 };

const put = new Script(PUT);

/** A message whose octets have all come: `last`, behind those that Redis has already where some were `appended`. */
export interface Finished {
  record: MessageRecord;
  last: Buffer;
  appended: boolean;
  /** All of them, where they are still here. */
  whole: Buffer | undefined;
}

/** The delivering side of this process, for a put that may claim for it in the same step. */
export interface Claimer {
  readonly consumer: string;
  /** Whether it would begin one more message now; then `receive` must follow. */
  expect(): boolean;
  /** What was claimed, if anything. */
  receive(claim?: { sid: string; id: string }): void;
  /** A message that was put as this entry of the queue, for whoever claims it in this process. */
  remember(sid: string, message: FreshMessage): void;
}

/** The way into one shard. */
export class RedisPuts {
  readonly #small: Gathering<Finished, string>;
  readonly #large: Gathering<Finished, string>;

  /** @param claimer undefined as long as this process does not deliver. */
  constructor(
    private readonly redis: RedisClient,
    private readonly shard: Shard,
    private readonly rounds: Rounds,
    private readonly claimer: () => Claimer | undefined,
  ) {
    const run = async (finished: Finished[]): Promise<string[]> => {
      const answer = await this.#run(finished, finished[0]!.record.acceptedAt);
      return finished.map(() => answer);
    };
    this.#small = new Gathering(rounds, MOST_TOGETHER.small, run);
    this.#large = new Gathering(rounds, MOST_TOGETHER.large, run);
  }

  /** @returns `once.answer`, or that of an earlier call with its key. @throws StoreUnavailable, StoreFull */
  put(finished: Finished[], now: number, once?: Once): Promise<string> {
    const [first, second] = finished;
    if (once || second || !first || first.appended) return this.rounds.join(() => this.#run(finished, now, once));
    return (isLarge(first) ? this.#large : this.#small).add(first);
  }

  async #run(finished: Finished[], now: number, once?: Once): Promise<string> {
    const { ready, index, later, batches } = this.shard;
    const keys = finished.flatMap(({ record }) => [this.shard.message(record.id), this.shard.body(record.id)]);
    const args = finished.flatMap((message) => argumentsOf(isLarge(message) ? ahead(message) : message, now));
    const shared = [ready, index, later, batches, this.shard.once(once?.key ?? '-')];
    const claimer = this.claimer();
    const claims = claimer ? finished.filter(() => claimer.expect()).length : 0;
    const head = [once?.answer ?? '', ONCE_SECONDS, now, claimer?.consumer ?? '', claims];
    let reply: string[] = [];
    try {
      reply = (await this.#call(finished.filter(isLarge), [...shared, ...keys], [...head, ...args])) as string[];
      return reply[0]!;
    } finally {
      if (claimer) tell(claimer, claims, reply.slice(1), finished);
    }
  }

  /** The octets of large messages go ahead of the script, in one transaction with it: they are synced together. */
  #call(large: Finished[], keys: string[], args: (string | number | Buffer)[]): Promise<unknown> {
    if (large.length === 0) return put.run(this.redis, keys, args);
    const queue = (transaction: ChainableCommander): void => {
      // Should the script fail, nothing is left behind.
      for (const { record, last } of large) transaction.set(this.shard.body(record.id), last, 'EX', UNFINISHED_SECONDS);
    };
    return put.runBehind(this.redis, queue, keys, args);
  }
}

const isLarge = ({ appended, last }: Finished): boolean => !appended && last.length >= OWN_COMMAND_BYTES;
/** What is left for the script when the octets went ahead. */
const ahead = (message: Finished): Finished => ({ ...message, last: EMPTY, appended: true });

const EMPTY = Buffer.alloc(0);

function argumentsOf({ record, last, appended }: Finished, now: number): (string | number | Buffer)[] {
  const { id, acceptedAt, size, sendAt = 0, batchId = '' } = record;
  const due = sendAt > now ? sendAt : '';
  return [id, JSON.stringify(record), acceptedAt, size, last, appended ? 1 : 0, due, batchId];
}

/** @param reply the entry of each message, '' for one that waits; then entry and id of each that was claimed. */
function tell(claimer: Claimer, claims: number, reply: string[], finished: Finished[]): void {
  finished.forEach(({ record, whole }, at) => {
    if (whole && reply[at]) claimer.remember(reply[at], { record, octets: whole });
  });
  for (let at = 0; at < claims; at++) {
    const [sid, id] = reply.slice(finished.length + 2 * at);
    claimer.receive(sid && id ? { sid, id } : undefined);
  }
}
