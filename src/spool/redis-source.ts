// Claims from one shard. The entry in the stream's pending list is the lease; its holder and its count of deliveries
// are the fencing token, so that a claim costs no write beyond the claim itself.
import { Readable } from 'node:stream';
import { within } from '../base/deadline.js';
import { messageOf } from '../base/fault.js';
import { storeFault, throwStoreFault, type RedisClient } from '../base/redis.js';
import type { Clock } from '../base/clock.js';
import { untried } from '../message/recipient.js';
import { Fresh, type FreshMessage } from './fresh.js';
import { HandOver } from './hand-over.js';
import type { Claimer } from './redis-puts.js';
import { PIECE_BYTES } from './redis-writer.js';
import { Script } from '../base/script.js';
import type { Shard } from './shard.js';
import type { ClaimSource, Damage, Lease } from './spool.js';
import { readRecipients, readRecord, type Fields } from './stored-fields.js';
import { GROUP, PROMOTE, RECLAIM, RELEASE, SET_ASIDE } from './transitions.js';

export interface Token {
  shard: Shard;
  sid: string;
  deliveries: number;
}

interface Entry {
  sid: string;
  id: string;
  deliveries: number;
  /** Milliseconds since the epoch. */
  claimedAt: number;
}

const BLOCK_MS = 2000;
const PROMOTE_AT_ONCE = 500;
/** A message whose workers were lost so often is the likely reason: it is set aside. */
const MAX_LOST = 8;

const reclaim = new Script(RECLAIM);
const promote = new Script(PROMOTE);
const release = new Script(RELEASE);
const setAside = new Script(SET_ASIDE);

export class RedisSource implements ClaimSource, Claimer {
  #waitingClient: string | undefined;
  /** Claimed, but Redis went away before they were read. */
  readonly #unread: Entry[] = [];
  readonly #handOver = new HandOver((lease) => void this.#giveBack(lease.token as Token, lease.record.id));
  readonly #fresh = new Fresh();
  #reading: Promise<void> | undefined;

  /** @param blocking a connection for nothing but waiting; @param redis one for everything else. */
  constructor(
    private readonly redis: RedisClient,
    private readonly blocking: RedisClient,
    private readonly shard: Shard,
    readonly consumer: string,
    private readonly settings: { leaseSeconds: number; keepHours: number; maxDone: number },
    private readonly clock: Clock,
    private readonly onDamaged: (damage: Damage) => void,
  ) {}

  async claim(max: number): Promise<Lease[]> {
    if (this.#unread.length === 0) {
      const handedOver = await this.#handOver.take(max, () => this.#read(max));
      if (handedOver.length > 0) return handedOver;
    }
    return this.#openOrKeep(this.#unread.splice(0, max));
  }

  expect(): boolean {
    return this.#handOver.expect();
  }

  remember(sid: string, message: FreshMessage): void {
    this.#fresh.add(sid, message);
  }

  receive(claim?: { sid: string; id: string }): void {
    if (!claim) return this.#handOver.receive(undefined);
    const entry = { ...claim, deliveries: 1, claimedAt: this.clock.now() };
    const fresh = this.#freshLease(entry);
    if (fresh) return this.#handOver.receive(fresh);
    this.#openOrKeep([entry]).then(
      ([lease]) => this.#handOver.receive(lease),
      () => this.#handOver.receive(undefined),
    );
  }

  /** Of what was claimed and not returned by `claim` yet. */
  held(): Pick<Token, 'sid' | 'deliveries'>[] {
    const now = this.clock.now();
    for (const entry of this.#unread) entry.claimedAt = now;
    return [...this.#handOver.waiting.map(({ token }) => token as Token), ...this.#unread];
  }

  async close(): Promise<void> {
    this.#handOver.close();
    await this.#reading?.catch(() => {});
    await Promise.all(this.#unread.splice(0).map((entry) => this.#giveBack(entry, entry.id)));
  }

  /** Back to the queue untried. */
  async release({ id, sid, deliveries }: Omit<Entry, 'claimedAt'>): Promise<void> {
    const { shard, consumer } = this;
    await release.run(this.redis, [shard.ready, shard.message(id)], [id, sid, consumer, deliveries, shard.prefix]);
  }

  async wake(): Promise<void> {
    if (this.#waitingClient) await this.redis.call('CLIENT', 'UNBLOCK', this.#waitingClient).catch(() => 0);
  }

  async reclaim(max: number): Promise<Lease[]> {
    const silenceMs = this.settings.leaseSeconds * 1000;
    const args = [this.shard.prefix, this.consumer, silenceMs, max, this.clock.now()];
    const flat = (await reclaim.run(this.redis, [this.shard.ready], args).catch(ifNoGroup([]))) as (string | number)[];
    const entries: Entry[] = [];
    for (let at = 0; at < flat.length; at += 3) {
      entries.push({
        sid: String(flat[at]),
        id: String(flat[at + 1]),
        deliveries: Number(flat[at + 2]),
        claimedAt: this.clock.now(),
      });
    }
    return this.#openOrKeep(entries);
  }

  async promote(now: number): Promise<number> {
    const keys = [this.shard.later, this.shard.ready, this.shard.batches];
    const bounds = [this.settings.keepHours * 3_600_000, this.settings.maxDone];
    return Number(await promote.run(this.redis, keys, [this.shard.prefix, now, PROMOTE_AT_ONCE, ...bounds]));
  }

  /** What cannot be given back now is taken over when its lease has run out. */
  async #giveBack({ sid, deliveries }: Pick<Token, 'sid' | 'deliveries'>, id: string): Promise<void> {
    await this.release({ id, sid, deliveries }).catch(() => {});
  }

  /**
   * One wait at a time: what a put hands over ends the wait of `claim`, and not that of Redis. While what Redis gave is
   * being read, puts go on handing over.
   */
  #read(max: number): Promise<void> {
    this.#reading ??= this.#readNew(max)
      .then((entries) => this.#openOrKeep(entries))
      .then((leases) => leases.forEach((lease) => this.#handOver.add(lease)))
      .finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readNew(max: number): Promise<Entry[]> {
    try {
      this.#waitingClient ??= String(await this.blocking.call('CLIENT', 'ID'));
      const args = ['GROUP', GROUP, this.consumer, 'COUNT', max, 'BLOCK', BLOCK_MS, 'STREAMS', this.shard.ready, '>'];
      const reply = await within(BLOCK_MS + 10_000, 'XREADGROUP', this.blocking.call('XREADGROUP', ...args));
      const claimedAt = this.clock.now();
      const streams = (reply ?? []) as [string, [string, string[]][]][];
      return (streams[0]?.[1] ?? []).map(([sid, fields]) => ({ sid, id: fields[1] ?? '', deliveries: 1, claimedAt }));
    } catch (error) {
      this.#waitingClient = undefined;
      if (messageOf(error).startsWith('NOGROUP')) return this.#makeGroup();
      if (error instanceof Error && error.name === 'DeadlineError') this.blocking.disconnect(true);
      throw storeFault(error);
    }
  }

  async #makeGroup(): Promise<Entry[]> {
    await this.redis.xgroup('CREATE', this.shard.ready, GROUP, '0', 'MKSTREAM').catch((error: unknown) => {
      if (!messageOf(error).startsWith('BUSYGROUP')) throw storeFault(error);
    });
    return [];
  }

  /** A failure to read keeps the claim, for as long as it is surely ours. */
  async #openOrKeep(entries: Entry[]): Promise<Lease[]> {
    const youngest = this.clock.now() - (this.settings.leaseSeconds * 1000) / 2;
    const ours = entries.filter(({ claimedAt }) => claimedAt > youngest);
    const known: Lease[] = [];
    const unknown = ours.filter((entry) => {
      const fresh = this.#freshLease(entry);
      if (fresh) known.push(fresh);
      return !fresh;
    });
    try {
      return [...known, ...(await this.#open(unknown))];
    } catch (error) {
      this.#unread.push(...unknown);
      if (known.length === 0) throw error;
      return known;
    }
  }

  /** Reads all entries in one round trip. */
  async #open(entries: Entry[]): Promise<Lease[]> {
    if (entries.length === 0) return [];
    const pipeline = this.redis.pipeline();
    for (const { id } of entries) {
      pipeline.hgetall(this.shard.message(id)).getrangeBuffer(this.shard.body(id), 0, PIECE_BYTES - 1);
    }
    const replies = (await pipeline.exec().catch(throwStoreFault)) ?? [];
    const leases = await Promise.all(
      entries.map((entry, at) =>
        this.#openOne(entry, valueOf<Fields>(replies[2 * at]), valueOf<Buffer>(replies[2 * at + 1])),
      ),
    );
    return leases.filter((lease) => lease !== undefined);
  }

  async #openOne(entry: Entry, fields: Fields, first: Buffer): Promise<Lease | undefined> {
    // What fits into one piece is all there, or is damaged; what does not is measured.
    const whole = first.length < PIECE_BYTES;
    const size = whole ? first.length : await this.redis.strlen(this.shard.body(entry.id)).catch(throwStoreFault);
    try {
      return this.#lease(entry, fields, first, size);
    } catch (error) {
      await this.setAside(entry, messageOf(error));
      return undefined;
    }
  }

  /** @throws Error that says what is damaged. */
  #lease(entry: Entry, fields: Fields, first: Buffer, size: number): Lease {
    const record = readRecord(fields);
    if (size !== record.size) throw new Error(`${size} of its ${record.size} octets are there`);
    const lostAttempts = Number(fields.lost ?? 0);
    if (lostAttempts >= MAX_LOST) throw new Error(`${lostAttempts} workers were lost while they had it`);
    const token: Token = { shard: this.shard, sid: entry.sid, deliveries: entry.deliveries };
    const body = (): Buffer | Readable => (first.length === size ? first : this.#stream(record.id, first, size));
    return {
      record,
      recipients: readRecipients(fields, record),
      lostAttempts,
      retriedAt: Number(fields.retried_at ?? 0),
      warnedAt: Number(fields.warned_at ?? 0),
      body,
      head: first,
      token,
    };
  }

  /** Of a message that was put here and claimed for the first time. */
  #freshLease({ sid, deliveries }: Entry): Lease | undefined {
    const message = deliveries === 1 ? this.#fresh.take(sid) : undefined;
    if (!message) return undefined;
    const { record, octets } = message;
    const token: Token = { shard: this.shard, sid, deliveries };
    const recipients = record.envelope.to.map(() => untried);
    const never = { lostAttempts: 0, retriedAt: 0, warnedAt: 0 };
    return { record, recipients, ...never, body: () => octets, head: octets, token };
  }

  #stream(id: string, first: Buffer, size: number): Readable {
    const { redis, shard } = this;
    async function* pieces(): AsyncGenerator<Buffer> {
      yield first;
      for (let at = first.length; at < size; at += PIECE_BYTES) {
        const piece = await redis.getrangeBuffer(shard.body(id), at, at + PIECE_BYTES - 1);
        if (piece.length === 0) throw storeFault(new Error('the octets of the message ended early'));
        yield piece;
      }
    }
    return Readable.from(pieces(), { objectMode: false, highWaterMark: PIECE_BYTES });
  }

  /** Takes an entry out of the queue, if this consumer still holds it: otherwise another may have ended the message. */
  async setAside(entry: Omit<Entry, 'claimedAt'>, reason: string): Promise<void> {
    const now = this.clock.now();
    const event = JSON.stringify({ type: 'set-aside', at: now, reply: reason });
    const args = [this.shard.prefix, entry.id, entry.sid, this.consumer, entry.deliveries, now, reason, event];
    const isDone = (await setAside.run(this.redis, [this.shard.ready], args)) === 1;
    if (isDone) this.onDamaged({ id: entry.id, reason });
  }
}

function ifNoGroup<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (messageOf(error).startsWith('NOGROUP')) return value;
    throw error;
  };
}

/** A reply of a pipeline. @throws StoreUnavailable */
function valueOf<T>(reply: [error: Error | null, result: unknown] | undefined): T {
  if (!reply || reply[0]) throw storeFault(reply?.[0] ?? new Error('no reply'));
  return reply[1] as T;
}
