// Several servers on one store: parts that run apart, and servers that take over from one another.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { postern } from '../support/built-command.js';
import { logIn, submit, submitOnce } from '../support/built-mail.js';
import { processesOf } from '../support/built-processes.js';
import { startPostern, temporaryFolder } from '../support/built-server.js';
import { startNextHop } from '../support/next-hop.js';
import { startRedis } from '../support/redis.js';

describe('serve --role', () => {
  it('parts a server that accepts from one that delivers', async () => {
    const [redis, hop] = await Promise.all([startRedis(), startNextHop()]);
    try {
      const pepper = 'one-pepper-for-all-servers-on-a-store';
      const env = { POSTERN_REDIS_URL: redis.url, POSTERN_RELAY_URL: hop.url, POSTERN_KEYS_PEPPER: pepper };
      const accepting = await startPostern({ env, args: ['--role', 'accept'] });
      const made = await accepting.json<{ api_key: string }>(['keys', 'create', '--name', 'parts']);
      const id = await submitOnce(accepting.smtp, made.api_key);
      const { status } = await accepting.json<{ status: string }>(['messages', 'show', id]);
      expect(status).toBe('queued');
      expect(hop.messages).toEqual([]);

      const delivering = await startPostern({ env, args: ['--role', 'deliver'] });
      expect(delivering.ready).toMatch(/^ready http=\S+$/);
      await hop.waitForMessages(1);
    } finally {
      await Promise.all([redis.stop(), hop.stop()]);
    }
  });
});

describe('a server that takes over from another on the same data', () => {
  it('finds Redis running and leaves it so until the last has gone', async () => {
    const first = await startPostern();
    const key = first.key();
    const second = await startPostern({ dataDir: first.dataDir });
    const open = await logIn(second.smtp, key);

    expect(await first.stop()).toBe(0);

    const id = await submit(open);
    await open.close();
    expect(await submitOnce(second.smtp, key)).toHaveLength(22);
    expect((await second.run(['messages', 'show', id])).code).toBe(0);
    expect(await second.stop()).toBe(0);
    expect(second.processes()).toEqual([]);
  });
});

describe('a data folder with a long path', () => {
  it('serves the server and the commands beside it', async () => {
    const dataDir = join(temporaryFolder(), 'a-long-name-of-a-folder'.repeat(6), 'data');
    const server = await startPostern({ dataDir });

    expect((await server.run(['keys', 'list'])).code).toBe(0);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(await server.stop()).toBe(0);
    expect(server.processes()).toEqual([]);
  });
});

describe('commands without a server, at the same time', () => {
  it('share the Redis that each of them may be the first to need and the last to leave', async () => {
    const env = { POSTERN_DATA_DIR: join(temporaryFolder(), 'data') };
    const names = Array.from({ length: 8 }, (_each, at) => `key ${at}`);

    const made = await Promise.all(names.map((name) => postern(['keys', 'create', '--name', name], { env })));

    expect(made.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      names.map((name) => ({ code: 0, stderr: expect.stringContaining(name) as string })),
    );
    const { stdout } = await postern(['keys', 'list'], { env });
    expect(names.filter((name) => !stdout.includes(name))).toEqual([]);
    expect(processesOf(-1, env.POSTERN_DATA_DIR)).toEqual([]);
  });
});
