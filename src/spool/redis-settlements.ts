// What became of messages, recorded in Redis: those that end at about the same time go in one call.
import type { Clock } from '../base/clock.js';
import { storeFault, type RedisClient } from '../base/redis.js';
import { Gathering, type Rounds } from './rounds.js';
import type { Token } from './redis-source.js';
import { Script } from '../base/script.js';
import type { Shard } from './shard.js';
import type { Lease, Settlement } from './spool.js';
import { SETTLE } from './transitions.js';

/** Bounds on what is kept of ended messages. */
export interface KeepSettings {
  keepHours: number;
  maxDone: number;
  maxCaptured: number;
  maxCapturedBytes: number;
}

/** In one call. A settlement may have a thousand recipients. */
const MOST_TOGETHER = 16;

/** So long a settlement waits for a message that comes in, to go with it: neither costs a sync of the disk of its own then. */
const PATIENCE_MS = 5;

const settle = new Script(SETTLE);

interface Ended {
  lease: Lease;
  settlement: Settlement;
}

/** Of one shard, by one consumer. */
export class RedisSettlements {
  readonly #together: Gathering<Ended, number | string>;

  constructor(
    redis: RedisClient,
    { ready, prefix }: Shard,
    rounds: Rounds,
    consumer: string,
    { keepHours, maxDone, maxCaptured, maxCapturedBytes }: KeepSettings,
    clock: Clock,
  ) {
    const bounds = [keepHours * 3_600_000, maxDone, maxCaptured, maxCapturedBytes];
    const call = async (ended: Ended[]): Promise<(number | string)[]> => {
      const args = [prefix, consumer, clock.now(), ...bounds, ...ended.flatMap(argumentsOf)];
      return (await settle.run(redis, [ready], args)) as (number | string)[];
    };
    this.#together = new Gathering(rounds, MOST_TOGETHER, call, PATIENCE_MS);
  }

  /** @returns false when the lease was lost; then nothing was recorded. @throws StoreUnavailable */
  async settle(lease: Lease, settlement: Settlement): Promise<boolean> {
    const result = await this.#together.add({ lease, settlement });
    if (typeof result === 'string') throw storeFault(new Error(result));
    return result === 1;
  }
}

function argumentsOf({ lease, settlement }: Ended): (string | number | Buffer)[] {
  const { sid, deliveries } = lease.token as Token;
  const { retryAt, keepBody, report, recipients, warnedAt, events } = settlement;
  const fields = recipients.flatMap(({ index, status }) => [`r:${index}`, JSON.stringify(status)]);
  if (warnedAt !== undefined) fields.push('warned_at', String(warnedAt));
  return [
    ...[lease.record.id, sid, deliveries, retryAt ?? '', keepBody ? 1 : 0],
    ...(report ? [report.record.id, JSON.stringify(report.record), report.octets] : ['', '', '']),
    ...[fields.length / 2, events.length, ...fields],
    ...events.map((event) => JSON.stringify(event)),
  ];
}
