// Commands without a running server, on the embedded Redis: each starts it for as long as it needs it, and afterwards nothing runs and all that was done is there, for other commands and for the server.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { postern, type CommandOptions } from '../support/built-command.js';
import { processesOf } from '../support/built-processes.js';
import { closedPort } from '../support/built-port.js';
import { logIn, submit } from '../support/built-mail.js';
import { KEY, startPostern, temporaryFolder } from '../support/built-server.js';
import { startNextHop } from '../support/next-hop.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';

interface Key {
  api_key: string;
  api_key_id: string;
  name: string;
  state: string;
}
interface Message {
  id: string;
  status: string;
}

/** Commands on one data folder. */
function onFolder(dataDir: string) {
  const env = { POSTERN_DATA_DIR: dataDir };
  const run = (args: string[], options: CommandOptions = {}) =>
    postern(args, { ...options, env: { ...env, ...options.env } });
  const json = async <T>(args: string[], input?: string): Promise<T> => {
    const { code, stdout, stderr } = await run([...args, '--json'], { input });
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  return { run, json, processes: () => processesOf(-1, dataDir) };
}

describe('keys, without a server', () => {
  it('are made, shown, changed, verified and revoked, and the server knows them afterwards', async () => {
    const dataDir = join(temporaryFolder(), 'data');
    const { run, json, processes } = onFolder(dataDir);

    expect(await run(['keys', 'list'])).toMatchObject({ code: 0 });
    const one = await json<Key>(['keys', 'create', '--name', 'one']);
    const two = await json<Key>(['keys', 'create', '--name', 'two']);
    expect((await json<Key>(['keys', 'update', one.api_key_id, '--name', 'first'])).name).toBe('first');
    expect((await run(['keys', 'revoke', two.api_key_id])).code).toBe(0);
    expect((await run(['keys', 'verify'], { input: one.api_key })).code).toBe(0);
    expect((await run(['keys', 'verify'], { input: two.api_key })).code).toBe(1);
    expect((await json<Key>(['keys', 'show', two.api_key_id])).state).toBe('revoked');
    const { result } = await json<{ result: Key[] }>(['keys', 'list']);
    expect(result.map(({ name }) => name)).toEqual(['two', 'first']);
    expect(processes()).toEqual([]);

    const server = await startPostern({ dataDir });
    expect(server.stdout()).not.toMatch(KEY); // there is a key, so none is minted
    const dialogue = await logIn(server.smtp, one.api_key);
    expect(await submit(dialogue)).toHaveLength(22);
    await dialogue.close();
    await expect(logIn(server.smtp, two.api_key)).rejects.toThrow('535 5.7.8');
  });

  it('a command that fails leaves nothing running either', async () => {
    const { run, processes } = onFolder(join(temporaryFolder(), 'data'));

    expect((await run(['keys', 'show', 'A'.repeat(21) + 'Q'])).code).toBe(1);
    expect(processes()).toEqual([]);
  });
});

describe('messages, without a server', () => {
  it('are listed, shown, cancelled and retried, and the next start sends what is left', async () => {
    const hop = await startNextHop();
    try {
      const relay = `smtp://127.0.0.1:${await closedPort()}`;
      const server = await startPostern({ env: { POSTERN_RELAY_URL: relay } });
      const dialogue = await logIn(server.smtp, server.key());
      const kept = await submit(dialogue, { to: 'kept@example.com' });
      const dropped = await submit(dialogue, { to: 'dropped@example.com' });
      const { run, json, processes } = onFolder(server.dataDir);
      await until('both deferred', async () => {
        const { result } = await json<{ result: Message[] }>(['messages', 'list', '--status', 'deferred']);
        return result.length === 2;
      });
      expect(await server.stop()).toBe(0);

      const { result } = await json<{ result: Message[] }>(['messages', 'list']);
      expect(result.map(({ id }) => id)).toEqual([dropped, kept]);
      expect((await json<Message>(['messages', 'show', kept])).id).toBe(kept);
      expect((await run(['messages', 'show', kept, '--raw'])).stdout).toContain('\r\n\r\nHello.\r\n');
      expect((await run(['messages', 'retry', kept])).code).toBe(0);
      expect((await run(['messages', 'cancel', dropped])).code).toBe(0);
      expect(processes()).toEqual([]);

      await startPostern({ dataDir: server.dataDir, env: { POSTERN_RELAY_URL: hop.url } });
      const arrived = await hop.waitForMessages(1);
      expect(arrived.map(({ recipients }) => recipients)).toEqual([['kept@example.com']]);
    } finally {
      await hop.stop();
    }
  });
});

describe('a Redis of its own', () => {
  it('serves commands and the server alike, and no embedded one is started', async () => {
    const redis = await startRedis();
    try {
      const env = { POSTERN_REDIS_URL: redis.url };
      const server = await startPostern({ env });
      expect(existsSync(join(server.dataDir, 'redis'))).toBe(false);
      const made = await server.json<Key>(['keys', 'create', '--name', 'shared']);
      const dialogue = await logIn(server.smtp, made.api_key);
      const id = await submit(dialogue);
      await dialogue.close();
      expect(await server.stop()).toBe(0);

      const { result } = JSON.parse((await postern(['messages', 'list', '--json'], { env: server.env })).stdout) as {
        result: Message[];
      };
      expect(result).toMatchObject([{ id }]);
      expect(await redis.client().ping()).toBe('PONG');
    } finally {
      await redis.stop();
    }
  });
});
