// Postern on a Redis that is not one server on one address: a Cluster, and a master that Sentinel names. Mail is taken,
// captured and found by a command.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { submitOnce } from '../support/built-mail.js';
import { closedPort } from '../support/built-port.js';
import { startPostern, temporaryFolder } from '../support/built-server.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';

async function takesMail(env: Record<string, string>): Promise<void> {
  const server = await startPostern({ env });
  const { api_key: key } = await server.json<{ api_key: string }>(['keys', 'create', '--name', 'app', '--json']);

  const id = await submitOnce(server.smtp, key);

  await until('the mail is captured', async () => {
    const { status } = await server.json<{ status: string }>(['messages', 'show', id, '--json']);
    return status === 'captured';
  });
  expect(await server.stop()).toBe(0);
}

it('a Redis Cluster, with several shards', async () => {
  const port = String(await closedPort());
  const redis = await startRedis({
    args: ['--port', port, '--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  });
  try {
    await redis.client().call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await takesMail({ POSTERN_REDIS_URL: `redis+cluster://127.0.0.1:${port}`, POSTERN_SPOOL_SHARDS: '2' });
  } finally {
    await redis.stop();
  }
});

it('a master with a password that Sentinel names', async () => {
  const port = String(await closedPort());
  const redis = await startRedis({ args: ['--port', port, '--requirepass', 'redis-password'] });
  const sentinel = await startSentinel(port);
  try {
    await takesMail({ POSTERN_REDIS_URL: `redis+sentinel://:redis-password@127.0.0.1:${sentinel.port}/mail` });
  } finally {
    await sentinel.stop();
    await redis.stop();
  }
});

async function startSentinel(master: string): Promise<{ port: number; stop: () => Promise<void> }> {
  const port = await closedPort();
  const folder = join(temporaryFolder(), 'sentinel');
  mkdirSync(folder);
  const lines = [`port ${port}`, `dir ${folder}`, `sentinel monitor mail 127.0.0.1 ${master} 1`];
  const file = join(folder, 'sentinel.conf');
  writeFileSync(file, [...lines, 'sentinel auth-pass mail redis-password', ''].join('\n'));
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  const client = new Redis(port, { retryStrategy: () => 20 });
  client.on('error', () => {});
  await until(
    'Sentinel knows the master',
    async () => (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mail').catch(() => null)) !== null,
  );
  client.disconnect();
  return {
    port,
    stop: async () => {
      const gone = once(child, 'exit');
      child.kill();
      await gone;
    },
  };
}
