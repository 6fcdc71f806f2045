// How the cost of a message grows with what else there is: connections, messages that wait, keys. Nothing may grow
// faster than linearly, and what waits in the queue must not show in the latency of accepting.
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.js';
import { systemRandom, timeOrderedId } from '../../src/base/ids.js';
import { silentLog } from '../../src/base/log.js';
import { connectRedis, whenReady, type RedisClient } from '../../src/base/redis.js';
import { mint } from '../../src/keys/mint.js';
import { loadPepper } from '../../src/keys/pepper.js';
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { RedisSpool } from '../../src/spool/redis-spool.js';
import { cases } from './cases.js';
import { measure, type Work } from './measure.js';
import { memoryOf } from './memory.js';
import { startCapturing } from './postern-subject.js';
import type { Auth } from '../support/load-session.js';
import { summarize, type Row } from './summary.js';
import type { Bench } from './subject.js';

/** Medians of all rounds. */
export interface GrowthRow extends Row {
  what: 'connections' | 'deferred messages' | 'keys';
  size: number;
  memoryBytes: number;
}

const CONNECTIONS = [1, 10, 100, 1000, 5000];
const DEFERRED = [0, 10_000, 100_000, 1_000_000];
const KEYS = [10, 10_000, 100_000];
/** Keys that take part, of those that there are. */
const KEYS_IN_USE = 500;
const AT_ONCE = 200;
const DAY_MS = 86_400_000;
const kept = cases[0]!;
const perMessage = cases[1]!;

export async function benchGrowth(bench: Bench, rounds: number, print: (text: string) => void): Promise<GrowthRow[]> {
  process.env.POSTERN_SMTP_MAX_CONNECTIONS = '20000';
  process.env.POSTERN_SMTP_MAX_CONNECTIONS_PER_ADDRESS = '20000';
  process.env.POSTERN_REDIS_MAX_MEMORY_BYTES = String(8 * 2 ** 30);
  const subject = await startCapturing('growth', bench);
  const rows: GrowthRow[] = [];
  const run: Run = async (what, size, work, auth) => {
    const samples = [];
    for (let round = 0; round < rounds; round++)
      samples.push(await measure(auth ? { ...subject, auth } : subject, work));
    const medians = summarize(what, samples);
    const row = { what, size, ...medians, memoryBytes: memoryOf(subject.processes()).aloneBytes };
    rows.push(row);
    print(lineOf(row));
  };
  print(`\ngrowth: postern-capture, 4 KB; medians of ${rounds} rounds`);
  await measure(subject, { ...kept, messages: 4000 }); // warm
  for (const size of CONNECTIONS)
    await run('connections', size, { ...kept, connections: size, messages: Math.max(4000, 4 * size) });
  const redis = await redisOf(bench);
  await growKeys(redis, bench, run);
  await growQueue(redis, run);
  redis.disconnect();
  return rows;
}

type Run = (what: GrowthRow['what'], size: number, work: Work, auth?: Auth[]) => Promise<void>;

/** Scheduled messages wait in the same place as deferred ones, until tomorrow. */
async function growQueue(redis: RedisClient, run: Run): Promise<void> {
  const bounds = { keepHours: 1, maxDone: 1000, maxCaptured: 1000, maxCapturedBytes: 1e6 };
  const settings = { shards: 1, leaseSeconds: 60, ...bounds };
  const spool = new RedisSpool(
    redis,
    () => redis,
    'growth',
    settings,
    systemClock,
    () => {},
  );
  let there = 0;
  for (const size of DEFERRED) {
    await grow(there, size, () => schedule(spool));
    await untilSettled(redis);
    there = size;
    await run('deferred messages', size, { ...kept, messages: 1500, ratePerSecond: 300 });
  }
}

async function growKeys(redis: RedisClient, bench: Bench, run: Run): Promise<void> {
  const secrets = { prefix: 'SG', pepper: loadPepper(join(bench.dir, 'data', 'pepper')), maxKeys: 1_000_000 };
  const audit = new AuditLog(redis, { ...secrets, maxEntries: 1000 }, systemClock);
  const store = new KeyEditor(redis, audit, 'bench');
  const auth: Auth[] = [];
  let there = 0;
  for (const size of KEYS) {
    await grow(there, size, async () => {
      const { text } = await mint(store, secrets, { clock: systemClock, random: systemRandom }, { name: 'growth' });
      if (auth.length < KEYS_IN_USE) auth.push({ user: 'apikey', pass: text });
    });
    there = size;
    await run('keys', size, { ...perMessage, messages: 3000 }, auth);
  }
}

/** So much new data makes Redis rewrite its file, which is not what is measured. */
async function untilSettled(redis: RedisClient): Promise<void> {
  const busy = /^(?:aof_rewrite_in_progress|aof_rewrite_scheduled):1/m;
  while (busy.test(String(await redis.call('INFO', 'persistence')))) await setTimeout(200);
}

async function grow(from: number, to: number, add: () => Promise<unknown>): Promise<void> {
  for (let at = from; at < to; at += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, to - at) }, add));
  }
}

async function schedule(spool: RedisSpool): Promise<void> {
  const now = systemClock.now();
  const octets = Buffer.from('Subject: tomorrow\r\n\r\nx\r\n');
  const envelope = { from: 'a@example.com', to: ['b@example.com'], bodyType: '7BIT' as const, smtpUtf8: false };
  const facts = { envelope, keyId: 'growth', acceptedAt: now, size: octets.length, clientAddress: '127.0.0.1' };
  const record = { ...facts, id: timeOrderedId(now), messageId: '', subject: 'tomorrow', sendAt: now + DAY_MS };
  const group = spool.group();
  await group.begin(record.id).write(octets);
  await group.commit([record], now);
}

async function redisOf({ dir, lifecycle }: Bench): Promise<RedisClient> {
  const url = `unix:${join(dir, 'data', 'redis', 'redis.sock')}`;
  const redis = connectRedis({ url, commandTimeoutSeconds: 60 }, 'growth', silentLog);
  lifecycle.defer('the connection of the growth tables', () => redis.disconnect());
  await whenReady(redis, 10_000);
  return redis;
}

function lineOf({
  what,
  size,
  acceptedPerSecond,
  latencyMs,
  cpuMsPerMessage,
  memoryBytes,
  failures,
}: GrowthRow): string {
  const { p50, p99, max } = latencyMs;
  const failed = failures ? `, ${failures} FAILURES` : '';
  const rate = `${acceptedPerSecond.toFixed(0)}/s`;
  const cpu = `CPU ${cpuMsPerMessage.toFixed(3)} ms`;
  return `  ${size} ${what}: ${rate}, ${cpu}, p50 ${p50} p99 ${p99} max ${max} ms, ${(memoryBytes / 1e6).toFixed(0)} MB${failed}`;
}
