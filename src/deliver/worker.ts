// The delivering side of a process: claims what is ready, attempts it, settles it. Promises: at most `concurrency`
// messages are under way; what was sent is recorded before the lease is given up, however long the store is away;
// a stop finishes what is under way and gives back what was not tried.
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import { messageOf } from '../base/fault.js';
import { pause } from '../base/pause.js';
import type { MailMetrics } from '../report/metrics.js';
import type { ClaimSource, Lease, Settlement, Spool } from '../spool/spool.js';
import type { Relay } from './relay.js';
import type { RetrySettings } from './schedule.js';
import { withReport } from './sender-report.js';
import { settlementOf } from './settlement.js';

export interface DeliverySettings extends RetrySettings {
  concurrency: number;
  leaseSeconds: number;
}

export interface DeliveryParts {
  spool: Spool;
  relay: Relay;
  settings: DeliverySettings;
  /** Our name, in reports to senders. */
  hostname: string;
  /** Makes queue ids for reports. */
  newId: () => string;
  clock: Clock;
  /** Ends the connections to next hops, whatever is on them. */
  cutConnections: () => void;
  /** From 0 to 1, for the jitter of retries. */
  chance: () => number;
  log: Log;
  metrics: MailMetrics;
}

const PROMOTE_EVERY_MS = 500;
/** For recording what was cut. */
const CUT_MS = 2000;
/** Between tries to reach a store that is away. */
const STORE_PAUSE_MS = 250;

export class DeliveryWorker {
  readonly #underWay = new Map<Lease, Promise<void>>();
  readonly #sources: ClaimSource[];
  readonly #claiming = new AbortController();
  readonly #tending = new AbortController();
  readonly #claims: Promise<void>[] = [];
  #leases: Promise<void> = Promise.resolve();
  #waitingForSlot: (() => void)[] = [];

  constructor(private readonly parts: DeliveryParts) {
    this.#sources = parts.spool.sources();
  }

  start(): void {
    const { leaseSeconds } = this.parts.settings;
    const { signal } = this.#claiming;
    for (const source of this.#sources) {
      this.#claims.push(
        this.#repeat('claim', 0, signal, () => this.#claim(source)),
        this.#repeat('promote', PROMOTE_EVERY_MS, signal, () => source.promote(this.parts.clock.now())),
      );
    }
    const every = (leaseSeconds * 1000) / 4;
    this.#leases = this.#repeat('renew and reclaim leases', every, this.#tending.signal, () => this.#tendLeases());
  }

  /** Takes no more messages; what is under way goes on. */
  stopClaiming(): void {
    this.#claiming.abort();
    this.#slotIsFree();
    for (const source of this.#sources) void source.wake();
  }

  /** Waits for what is under way, `ms` at most; what is not done by then is cut, deferred and, if need be, in doubt. */
  async stop(ms: number): Promise<void> {
    this.stopClaiming();
    await Promise.all(this.#claims);
    await Promise.all(this.#sources.map((source) => source.close()));
    const ended = new AbortController();
    const cut = pause(ms, ended.signal).then(() => (ended.signal.aborted ? undefined : this.parts.cutConnections()));
    await Promise.race([this.#allDone(), cut.then(() => pause(CUT_MS, ended.signal))]);
    ended.abort();
    this.#tending.abort();
    await this.#leases;
  }

  async #allDone(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  /** Runs `step` again and again, `everyMs` apart, until `signal`; a store that is away is waited for. */
  async #repeat(what: string, everyMs: number, signal: AbortSignal, step: () => Promise<unknown>): Promise<void> {
    while (!signal.aborted) {
      try {
        await step();
        if (everyMs > 0) await pause(everyMs, signal);
      } catch (error) {
        this.parts.log.debug({ fault: messageOf(error) }, `cannot ${what} now`);
        await pause(Math.max(everyMs, STORE_PAUSE_MS), signal);
      }
    }
  }

  async #claim(source: ClaimSource): Promise<void> {
    const free = this.parts.settings.concurrency - this.#underWay.size;
    if (free <= 0) return new Promise((resolve) => this.#waitingForSlot.push(resolve));
    const leases = await source.claim(free);
    for (const lease of leases) this.#begin(lease);
  }

  #slotIsFree(): void {
    for (const resolve of this.#waitingForSlot.splice(0)) resolve();
  }

  async #reclaim(source: ClaimSource): Promise<void> {
    const free = this.parts.settings.concurrency - this.#underWay.size;
    if (free > 0) for (const lease of await source.reclaim(free)) this.#begin(lease);
  }

  /** Our own first: after an outage they look as silent as those of a dead worker. */
  async #tendLeases(): Promise<void> {
    await this.#renew();
    for (const source of this.#sources) await this.#reclaim(source);
  }

  async #renew(): Promise<void> {
    for (const lease of await this.parts.spool.renew([...this.#underWay.keys()])) {
      // One that was settled meanwhile is nobody's any more.
      if (!this.#underWay.has(lease)) continue;
      this.parts.log.warn({ id: lease.record.id }, 'lease lost: another worker has the message');
    }
  }

  #begin(lease: Lease): void {
    const work = this.#deliver(lease)
      .catch((error: unknown) =>
        this.parts.log.error({ err: error, id: lease.record.id }, 'delivery failed unexpectedly'),
      )
      .finally(() => {
        this.#underWay.delete(lease);
        this.#slotIsFree();
      });
    this.#underWay.set(lease, work);
  }

  async #deliver(lease: Lease): Promise<void> {
    const { spool, relay, settings, clock, chance } = this.parts;
    if (this.#claiming.signal.aborted) return spool.release(lease);
    const indexes = lease.recipients.flatMap(({ state }, index) => (state === 'pending' ? [index] : []));
    this.#noteDoubt(lease, indexes);
    const outcomes = indexes.length ? await relay.attempt(lease, indexes) : [];
    const now = clock.now();
    const settlement = settlementOf(lease, indexes, outcomes, settings, now, chance());
    await this.#settle(lease, withReport(lease, settlement, outcomes, this.parts, now));
  }

  /** Promise 10: a second delivery that is possible is visible before it happens. */
  #noteDoubt(lease: Lease, indexes: number[]): void {
    const { log, metrics } = this.parts;
    const inDoubt = indexes.filter((index) => lease.lostAttempts > 0 || lease.recipients[index]!.inDoubt > 0);
    if (inDoubt.length === 0) return;
    metrics.redeliveries.inc(inDoubt.length);
    const recipients = inDoubt.map((index) => lease.record.envelope.to[index]);
    log.warn(
      { id: lease.record.id, recipients },
      'trying again after an attempt whose end was not seen: a copy may arrive twice',
    );
  }

  /** What was done is done: it is recorded, if need be after the store has come back, unless the lease is lost. */
  async #settle(lease: Lease, settlement: Settlement): Promise<void> {
    const { spool, log } = this.parts;
    const { id } = lease.record;
    for (let unsure = false; ; unsure = true) {
      try {
        if (await spool.settle(lease, settlement)) {
          this.#underWay.delete(lease);
          return this.#report(lease, settlement);
        }
        const why = unsure
          ? 'it was recorded before, or another worker took the message over'
          : 'another worker has the message';
        return log.warn({ id }, `outcome not recorded: ${why}`);
      } catch (error) {
        log.warn({ id, fault: messageOf(error) }, 'outcome not recorded yet: the store is away');
        await pause(STORE_PAUSE_MS * 2);
      }
    }
  }

  #report(lease: Lease, { events, recipients, report }: Settlement): void {
    const { log, metrics } = this.parts;
    if (report) metrics.bounces.inc();
    for (const { status } of recipients) metrics.recipients.inc({ outcome: status.state });
    for (const { type, reply, hop, recipients: to, more, retryAt } of events) {
      const fields = {
        ...{ id: lease.record.id, key: lease.record.keyId, to, more, hop, reply },
        ...(retryAt === undefined ? {} : { retryAt: new Date(retryAt).toISOString() }),
      };
      const level = ['delivered', 'captured', 'bounced', 'reported'].includes(type) ? 'info' : 'warn';
      log[level](fields, `message ${type}`);
    }
  }
}
