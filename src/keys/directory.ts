// Key records in memory, so that verifying a key costs no round trip. Promise: a change is seen within a second,
// whatever is lost on the way. Three things make it so: changes are pushed on a channel; the counter of changes is
// polled twice a second, which finds what a lost push would have told; and when neither can be heard, nothing in
// memory is believed and every question goes to Redis.
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { RedisClient } from '../base/redis.js';
import type { KeyRecord } from './record.js';
import { CHANGES, type KeyStore } from './store.js';

const POLL_MS = 400;
/** Without a successful poll for so long, memory is not believed. */
const STALE_MS = 900;
const MAX_ENTRIES = 50_000;

export class KeyDirectory {
  readonly #records = new Map<string, KeyRecord>();
  #generation = -1;
  #heardAt = -Infinity;
  /** Counts flushes, so that an answer that was under way during one is not kept. */
  #epoch = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param channel a connection of its own for the subscription. */
  constructor(
    private readonly store: KeyStore,
    private readonly channel: RedisClient,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Begins to listen. Also works while Redis is away: it listens as soon as Redis is back. */
  start(): void {
    this.channel.on('ready', () => this.#subscribe());
    this.channel.on('close', () => this.#flush());
    this.channel.on('message', (_channel: string, id: string) => this.#forget(id));
    if (this.channel.status === 'ready') this.#subscribe();
    this.#schedule(0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What memory knows and may believe now, without I/O. */
  cached(id: string): KeyRecord | undefined {
    return this.#fresh ? this.#records.get(id) : undefined;
  }

  /** The record, from memory or from Redis. @throws StoreUnavailable */
  async find(id: string): Promise<KeyRecord | undefined> {
    const known = this.cached(id);
    if (known) return known;
    const epoch = this.#epoch;
    const record = await this.store.find(id);
    if (record && epoch === this.#epoch) this.#keep(record);
    return record;
  }

  get #fresh(): boolean {
    return this.clock.now() - this.#heardAt < STALE_MS && this.channel.status === 'ready';
  }

  #keep(record: KeyRecord): void {
    if (this.#records.size >= MAX_ENTRIES) this.#records.delete(this.#records.keys().next().value!);
    this.#records.set(record.id, record);
  }

  #forget(id: string): void {
    this.#epoch++;
    this.#records.delete(id);
  }

  #flush(): void {
    this.#epoch++;
    this.#records.clear();
  }

  #subscribe(): void {
    this.#flush();
    this.channel
      .subscribe(CHANGES)
      .catch((error: unknown) => this.log.warn({ err: error }, 'cannot subscribe to changes of keys'));
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => void this.#poll(), ms);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    const askedAt = this.clock.now();
    try {
      this.#compare(await this.store.generation());
      this.#heardAt = askedAt;
    } catch {
      // Redis is away; the connection's own log line says so, and memory goes stale by itself.
    }
    if (this.#timer) this.#schedule(POLL_MS);
  }

  #compare(generation: number): void {
    if (generation === this.#generation) return;
    if (generation < this.#generation) {
      const fields = { was: this.#generation, is: generation };
      this.log.error(fields, 'the generation of keys went backwards: Redis has lost writes, a revoked key may be back');
    }
    this.#generation = generation;
    this.#flush();
  }
}
