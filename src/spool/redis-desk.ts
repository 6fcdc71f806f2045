// What people and pages ask of the spool: looking at messages, trying one again, cancelling one.
import { storeFault, type RedisClient } from '../base/redis.js';
import { Script } from '../base/script.js';
import { Shard } from './shard.js';
import type { CancelOutcome, RetryOutcome, SpoolCounts, SpoolDesk } from './spool.js';
import { readEvents, readRecipients, readRecord, type Fields } from './stored-fields.js';
import { CANCEL, GROUP, PAUSED, RETRY } from './transitions.js';
import type { MessageRecord } from '../message/envelope.js';
import type { StoredMessage } from '../message/stored-message.js';

const retry = new Script(RETRY);
const cancel = new Script(CANCEL);

export class RedisDesk implements SpoolDesk {
  readonly #shards: Shard[];

  constructor(
    private readonly redis: RedisClient,
    settings: { shards: number },
  ) {
    this.#shards = Array.from({ length: settings.shards }, (_none, number) => new Shard(number));
  }

  async list(max: number, before = Infinity): Promise<StoredMessage[]> {
    const until = Number.isFinite(before) ? before : '+inf';
    const pages = await Promise.all(this.#shards.map((shard) => this.#page(shard, until, max)));
    const newestFirst = pages.flat().sort((a, b) => b.record.acceptedAt - a.record.acceptedAt);
    return newestFirst.slice(0, max);
  }

  async find(id: string): Promise<StoredMessage | undefined> {
    const found = await Promise.all(this.#shards.map((shard) => this.#read(shard, id)));
    return found.find((message) => message !== undefined);
  }

  async body(id: string): Promise<Buffer | undefined> {
    const found = await this.#ask(() => Promise.all(this.#shards.map((shard) => this.redis.getBuffer(shard.body(id)))));
    return found.find((octets) => octets !== null) ?? undefined;
  }

  async retry(id: string, now: number): Promise<RetryOutcome> {
    const shard = await this.#shardOf(id);
    if (!shard) return 'not-found';
    const message = await this.#read(shard, id);
    const reset = (message?.recipients ?? []).flatMap(({ state }, index) =>
      state === 'captured' ? [`r:${index}`] : [],
    );
    const keys = [shard.message(id), shard.body(id), shard.ready, shard.later];
    const event = JSON.stringify({ type: 'retry-requested', at: now });
    return (await retry.run(this.redis, keys, [shard.prefix, id, event, now, ...reset])) as RetryOutcome;
  }

  async cancel(id: string, now: number): Promise<CancelOutcome> {
    const shard = await this.#shardOf(id);
    if (!shard) return 'not-found';
    const keys = [shard.message(id), shard.ready, shard.later];
    const event = JSON.stringify({ type: 'cancelled', at: now });
    return (await cancel.run(this.redis, keys, [shard.prefix, id, now, event])) as CancelOutcome;
  }

  async counts(): Promise<SpoolCounts> {
    const all = await this.#ask(() => Promise.all(this.#shards.map((shard) => this.#countShard(shard))));
    const sum = (name: keyof SpoolCounts): number => all.reduce((total, counts) => total + counts[name], 0);
    return { ready: sum('ready'), underWay: sum('underWay'), deferred: sum('deferred'), setAside: sum('setAside') };
  }

  async #countShard(shard: Shard): Promise<SpoolCounts> {
    const [length, pending, deferred, setAside] = await Promise.all([
      this.redis.xlen(shard.ready),
      this.redis.call('XPENDING', shard.ready, GROUP).catch(() => [0]) as Promise<[number]>,
      this.redis.zcard(shard.later),
      this.redis.zcard(shard.aside),
    ]);
    return { ready: Math.max(0, length - pending[0]), underWay: pending[0], deferred, setAside };
  }

  async #page(shard: Shard, until: number | string, max: number): Promise<StoredMessage[]> {
    const ids = await this.#ask(() => this.redis.zrevrangebyscore(shard.index, until, '-inf', 'LIMIT', 0, max));
    const found = await Promise.all(ids.map((id) => this.#read(shard, id)));
    return found.filter((message) => message !== undefined);
  }

  async #shardOf(id: string): Promise<Shard | undefined> {
    const there = await this.#ask(() => Promise.all(this.#shards.map((shard) => this.redis.exists(shard.message(id)))));
    return this.#shards[there.indexOf(1)];
  }

  async #read(shard: Shard, id: string): Promise<StoredMessage | undefined> {
    const [fields, due, octets] = await this.#ask(() =>
      Promise.all([
        this.redis.hgetall(shard.message(id)),
        this.redis.zscore(shard.later, id),
        this.redis.exists(shard.body(id)),
      ]),
    );
    return Object.keys(fields).length ? stored(id, fields, Number(due ?? 0), octets === 1) : undefined;
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw storeFault(error);
    }
  }
}

function stored(id: string, fields: Fields, retryAt: number, hasBody: boolean): StoredMessage {
  return {
    ...readable(id, fields),
    doneAt: Number(fields.done_at ?? 0),
    cancelledAt: Number(fields.cancelled_at ?? 0),
    retryAt: retryAt === PAUSED ? 0 : retryAt,
    isPaused: retryAt === PAUSED,
    damage: fields.damage ?? '',
    hasBody,
  };
}

function readable(id: string, fields: Fields): Pick<StoredMessage, 'record' | 'recipients' | 'events'> {
  try {
    const record = readRecord(fields);
    return { record, recipients: readRecipients(fields, record), events: readEvents(fields) };
  } catch {
    return { record: unreadable(id), recipients: [], events: [] };
  }
}

/** Stands for a record that cannot be read, so that its message can still be listed and looked at. */
function unreadable(id: string): MessageRecord {
  const envelope = { from: '', to: [], bodyType: '8BITMIME' as const, smtpUtf8: false };
  return { id, envelope, keyId: '', acceptedAt: 0, size: 0, clientAddress: '', messageId: '', subject: '' };
}
