// Connections to Redis, on real servers: no command is sent twice, and a fault is told once, however often it comes back.
import { rm } from 'node:fs/promises';
import { connectRedis, storeFault, whenReady } from '../../src/base/redis.js';
import { closedPort } from '../support/built-port.js';
import { TestLog } from '../support/log.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { PATIENCE_MS, until } from '../support/until.js';

let redis: TestRedis;
let port: number;

beforeAll(async () => {
  port = await closedPort();
  redis = await startRedis({
    args: ['--port', String(port), '--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  });
  await redis.client().call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
});
afterAll(() => redis.stop());

it.each([
  ['one server', () => `redis://127.0.0.1:${port}`],
  ['a cluster', () => `redis+cluster://127.0.0.1:${port}`],
])('a command whose connection to %s broke is not sent again: its caller hears of it', async (_name, url) => {
  const admin = redis.client();
  await until('the cluster is up', async () => String(await admin.call('CLUSTER', 'INFO')).includes('state:ok'));
  const client = connectRedis({ url: url(), commandTimeoutSeconds: 5 }, 'waiting', new TestLog().log, true);
  try {
    await whenReady(client, PATIENCE_MS);
    const answer = client.blpop('nothing', 0).then(
      () => 'an answer',
      (error: Error) => error.message,
    );
    const waiting = await until(
      'the command waits',
      async () =>
        / addr=127\.0\.0\.1:(\d+) .* cmd=blpop /.exec(String(await admin.call('CLIENT', 'LIST'))) ?? undefined,
    );
    await admin.call('CLIENT', 'KILL', 'ADDR', `127.0.0.1:${waiting[1]}`);

    expect(await answer).toMatch(/Connection is closed|max retries/);
    await until('it is back', async () => (await client.ping().catch(() => '')) === 'PONG');
  } finally {
    client.disconnect();
  }
});

it('two faults in turn are two lines in the log until the connection is back', async () => {
  const [away, log] = [await closedPort(), new TestLog()];
  const url = `redis+sentinel://127.0.0.1:${away}/mail`;
  const client = connectRedis({ url, commandTimeoutSeconds: 5 }, 'main', log.log);
  try {
    for (const fault of ['one', 'other', 'one', 'other']) client.emit('error', new Error(fault));
    const faults = log.lines.map(({ fault }) => fault).filter((fault) => ['one', 'other'].includes(String(fault)));
    expect(faults).toEqual(['one', 'other']);
  } finally {
    client.disconnect();
  }
});

it('a database that the server does not have is a fault, and not database 0', async () => {
  const url = `redis://127.0.0.1:${port}/7`;
  const client = connectRedis({ url, commandTimeoutSeconds: 5 }, 'main', new TestLog().log);
  try {
    await expect(whenReady(client, PATIENCE_MS)).rejects.toThrow('SELECT is not allowed');
  } finally {
    client.disconnect();
  }
});

it('a server that cannot write its files (MISCONF) is full: a command that asks for a write says so', async () => {
  const failing = await startRedis({ args: ['--save', '3600 1'] });
  try {
    const client = failing.client();
    await client.ping();
    await rm(failing.dir, { recursive: true });
    await client.bgsave();
    await until('the save has failed', async () =>
      (await client.info('persistence')).includes('rdb_last_bgsave_status:err'),
    );
    for (const write of [client.set('a', '1'), client.eval('return redis.call("SET", KEYS[1], "1")', 1, 'a')]) {
      const fault = storeFault(await write.catch((error: unknown) => error));
      expect([fault.name, fault.message]).toEqual(['StoreFull', expect.stringMatching(/^MISCONF /)]);
    }
  } finally {
    await failing.stop();
  }
});
