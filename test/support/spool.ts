// A spool on a real Redis, for tests of the queue alone.
import { systemClock, type Clock } from '../../src/base/clock.js';
import { timeOrderedId } from '../../src/base/ids.js';
import { connectRedis } from '../../src/base/redis.js';
import { silentLog } from '../../src/base/log.js';
import type { MessageRecord } from '../../src/message/envelope.js';
import { RedisDesk } from '../../src/spool/redis-desk.js';
import { RedisSpool, type SpoolSettings } from '../../src/spool/redis-spool.js';
import type { Damage, Lease, Settlement } from '../../src/spool/spool.js';
import { startRedis, type TestRedis } from './redis.js';
import { until } from './until.js';

export interface SpoolOptions extends Partial<SpoolSettings> {
  consumer?: string;
  clock?: Clock;
}

const DEFAULTS: SpoolSettings = {
  ...{ shards: 1, leaseSeconds: 60, keepHours: 24 },
  ...{ maxDone: 1000, maxCaptured: 1000, maxCapturedBytes: 1e9 },
};

export function testSpool(
  redis: TestRedis,
  { consumer = 'worker', clock = systemClock, ...settings }: SpoolOptions = {},
) {
  const connect = (name: string, blocking = false) =>
    connectRedis({ url: redis.url, commandTimeoutSeconds: 5 }, name, silentLog, blocking);
  const client = connect('spool');
  const waiting: ReturnType<typeof connect>[] = [];
  const damaged: Damage[] = [];
  const blocking = () => {
    waiting.push(connect('claim', true));
    return waiting.at(-1)!;
  };
  const spool = new RedisSpool(client, blocking, consumer, { ...DEFAULTS, ...settings }, clock, (damage) =>
    damaged.push(damage),
  );
  const put = async (octets: Buffer | string, to = ['one@example.com']): Promise<MessageRecord> => {
    await until('the connection is ready', () => client.status === 'ready');
    const record = makeRecord(Buffer.byteLength(octets), to, clock.now());
    const writer = spool.begin(record.id);
    await writer.write(Buffer.from(octets));
    await writer.commit(record);
    return record;
  };
  const close = async () => {
    await Promise.all(spool.sources().map((source) => source.wake()));
    [client, ...waiting].forEach((each) => each.disconnect());
  };
  return { spool, desk: new RedisDesk(client, { ...DEFAULTS, ...settings }), client, damaged, put, close };
}

/** A Redis for each test of a file, and spools on it that are closed after the test. */
export function spoolFixture() {
  let redis: TestRedis;
  const closers: (() => Promise<void>)[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    await redis.stop();
  });
  const spoolOf = (options: SpoolOptions = {}) => {
    const made = testSpool(redis, options);
    closers.push(made.close);
    return made;
  };
  return { redisOf: () => redis, spoolOf };
}

export function makeRecord(size: number, to: string[], acceptedAt: number): MessageRecord {
  return {
    ...{
      id: timeOrderedId(acceptedAt),
      keyId: 'k',
      acceptedAt,
      size,
      clientAddress: '127.0.0.1',
      messageId: '<x>',
      subject: 'x',
    },
    envelope: { from: 'app@example.com', to, bodyType: '7BIT', smtpUtf8: false },
  };
}

/** The next claim that is not empty. */
export function claimed(spool: RedisSpool, max = 10): Promise<Lease[]> {
  const [source] = spool.sources();
  return until('a claim', async () => {
    const leases = await source!.claim(max).catch(() => []);
    return leases.length > 0 && leases;
  });
}

/** A settlement that gives every recipient this state. */
export function all(
  lease: Lease,
  state: 'delivered' | 'failed' | 'pending' | 'captured',
  retryAt?: number,
): Settlement {
  return {
    recipients: lease.record.envelope.to.map((_address, index) => ({
      index,
      status: { state, attempts: 1, at: 1, reply: '250 ok', hop: 'hop:25', inDoubt: 0 },
    })),
    events: [{ type: state === 'pending' ? 'deferred' : state, at: 1 }],
    retryAt,
    keepBody: state === 'captured',
  };
}
