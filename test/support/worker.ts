// A worker of Postern inside the test process, on a real Redis, real sockets and free ports.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startWorker } from '../../src/app.js';
import { systemClock } from '../../src/base/clock.js';
import { systemRandom } from '../../src/base/ids.js';
import { loadConfig, type Config } from '../../src/config.js';
import { mint, type MintRequest } from '../../src/keys/mint.js';
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { MailMetrics } from '../../src/report/metrics.js';
import { RedisDesk } from '../../src/spool/redis-desk.js';
import type { Role } from '../../src/worker-messages.js';
import { makeCertificate } from './certificate.js';
import { openDialogue, type Dialogue } from './dialogue.js';
import { TestLog } from './log.js';
import { startRedis, type TestRedis } from './redis.js';
import { expectNoSecrets } from './secret-search.js';

export interface WorkerOptions {
  /** POSTERN_* settings. */
  env?: Record<string, string>;
  redis?: TestRedis;
  roles?: Role[];
  /** Whether the disk of the store has room. */
  hasRoom?: () => boolean;
}

export interface TestWorker {
  config: Config;
  redis: TestRedis;
  log: TestLog;
  metrics: MailMetrics;
  port: number;
  securePort: number;
  httpUrl: string;
  pepper: string;
  keys: KeyEditor;
  audit: AuditLog;
  desk: RedisDesk;
  mint(request?: Partial<MintRequest>): Promise<{ key: string; id: string }>;
  /** A dialogue that has said EHLO and is logged in. */
  logIn(key: string): Promise<Dialogue>;
  drain(): Promise<void>;
  stop(): Promise<void>;
}

const PEPPER = randomBytes(32).toString('base64url');

/** Everything of one process is up when it resolves. Workers on one `redis` are a cluster: they share keys and spool. */
export async function startTestWorker(options: WorkerOptions = {}): Promise<TestWorker> {
  const redis = options.redis ?? (await startRedis());
  const dir = mkdtempSync(join(tmpdir(), 'postern-worker-'));
  const config = testConfig(redis, dir, options.env);
  const log = new TestLog();
  const metrics = new MailMetrics();
  const runtime = {
    ...{
      roles: options.roles ?? (['accept', 'deliver'] as Role[]),
      redisUrl: redis.url,
      embedded: false,
      pepper: PEPPER,
    },
    ...{ certificates: { pair: await makeCertificate(), named: [] }, ticketKeys: randomBytes(48).toString('base64') },
  };
  const allMetrics = () => metrics.registry.metrics();
  const worker = await startWorker(config, runtime, {
    ...{ log: log.log, metrics, allMetrics },
    hasRoom: options.hasRoom ?? (() => true),
  });
  const client = redis.client();
  const audit = new AuditLog(client, { ...config.audit, pepper: PEPPER }, systemClock);
  const keys = new KeyEditor(client, audit, 'test');
  const port = portOf(worker.addresses.smtp);
  return {
    ...{ config, redis, log, metrics, port, keys, audit, pepper: PEPPER },
    securePort: portOf(worker.addresses.smtps),
    httpUrl: `http://${worker.addresses.http}`,
    desk: new RedisDesk(client, config.spool),
    mint: async (request = {}) => {
      const parts = { clock: systemClock, random: systemRandom };
      const { text, record } = await mint(keys, { prefix: 'SG', pepper: PEPPER, maxKeys: config.keys.maxKeys }, parts, {
        name: 'test',
        ...request,
      });
      return { key: text, id: record.id };
    },
    logIn: async (key) => {
      const dialogue = await openDialogue(port);
      await dialogue.ehlo();
      expect(await dialogue.authPlain('apikey', key)).toMatch(/^235 /);
      return dialogue;
    },
    drain: () => worker.drain(),
    stop: async () => {
      await worker.drain();
      if (!options.redis) await redis.stop();
      rmSync(dir, { recursive: true, force: true });
      expectNoSecrets('the log of a worker', JSON.stringify(log.lines), [PEPPER]);
    },
  };
}

function testConfig(redis: TestRedis, dataDir: string, env: Record<string, string> = {}): Config {
  return loadConfig({
    ...{ POSTERN_REDIS_URL: redis.url, POSTERN_DATA_DIR: dataDir, POSTERN_HOSTNAME: 'postern.test' },
    ...{ POSTERN_SMTP_PORT: '0', POSTERN_SMTP_SECURE_PORT: '0', POSTERN_HTTP_PORT: '0', POSTERN_LOG_LEVEL: 'trace' },
    ...env,
  });
}

const portOf = (address: string | undefined): number => Number(address?.split(':').at(-1) ?? 0);

/** A message of the octets, dot-stuffed and ended as DATA wants it. */
export function stuffed(octets: Buffer): Buffer {
  const text = octets.toString('latin1').replace(/(^|\r\n)\./g, '$1..');
  return Buffer.from(`${text}.\r\n`, 'latin1');
}

/** One whole transaction on a logged-in dialogue. @returns the reply to the final dot. */
export async function submit(
  dialogue: Dialogue,
  octets: Buffer | string,
  to: string[] = ['you@example.com'],
  from = 'app@example.com',
) {
  expect(await dialogue.line(`MAIL FROM:<${from}>`)).toMatch(/^250 /);
  for (const address of to) expect(await dialogue.line(`RCPT TO:<${address}>`)).toMatch(/^250 /);
  expect(await dialogue.line('DATA')).toMatch(/^354 /);
  dialogue.send(stuffed(Buffer.from(octets)));
  return dialogue.reply();
}

/** The queue id in a 250 reply. */
export function queueId(reply: string): string {
  const id = /^250 2\.6\.0 Ok: queued as ([A-Za-z0-9_-]{22})$/.exec(reply)?.[1];
  if (!id) throw new Error(`not accepted: ${reply}`);
  return id;
}
