// Promise 1 on the built program: whichever process dies by kill -9, what was answered 250 is there afterwards, and
// service goes on by itself or with the next start.
import { ask } from '../support/contract.js';
import { attempt, logIn, queueId, submitOnce } from '../support/built-mail.js';
import { isAlive } from '../support/built-processes.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { startNextHop } from '../support/next-hop.js';
import { until } from '../support/until.js';

/** A connection that was given to a process which is dead says nothing more. */
const PATIENCE = { timeoutMs: 1000 };

const commandLineHas = (word: string) => (server: ReadyPostern) =>
  server.processes().filter(({ commandLine }) => commandLine.includes(word));
const workersOf = commandLineHas('worker.js');
const redisOf = commandLineHas('redis-server');

const idsOf = async (server: ReadyPostern) =>
  (await server.json<{ result: { id: string }[] }>(['messages', 'list', '--limit', '1000'])).result.map(({ id }) => id);

/**
 * Submits mail after mail on two connections all the while `work` is done, whatever comes of them, and gives the ids of
 * those that were answered 250. `work` is told how many there are.
 */
async function whileSubmitting(
  server: ReadyPostern,
  key: string,
  work: (accepted: () => number) => Promise<void>,
): Promise<string[]> {
  const accepted: string[] = [];
  let done = false;
  const login = () => logIn(server.smtp, key, PATIENCE).catch(() => done && ('over' as const));
  const client = async () => {
    while (!done) {
      const dialogue = await until('a login', login);
      if (dialogue === 'over') return;
      for (let reply = '2'; !done && reply.startsWith('2');) {
        // What was not answered need not be there.
        reply = await attempt(dialogue).catch(() => 'cut off');
        if (reply.startsWith('250')) accepted.push(queueId(reply));
      }
      await dialogue.close();
    }
  };
  const clients = Promise.all([client(), client()]);
  await work(() => accepted.length).finally(() => (done = true));
  await clients;
  return accepted;
}

const more = (accepted: () => number) => {
  const goal = accepted() + 20;
  return until('more mail', () => accepted() > goal);
};

it('a worker that is killed is replaced, and the other goes on meanwhile', async () => {
  const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
  const before = workersOf(server).map(({ pid }) => pid);
  expect(before).toHaveLength(2);

  const accepted = await whileSubmitting(server, server.key(), async (count) => {
    await more(count);
    process.kill(before[0]!, 'SIGKILL');
    await until('two workers again', () => {
      const now = workersOf(server).map(({ pid }) => pid);
      return now.length === 2 && !now.includes(before[0]!) && now.includes(before[1]!);
    });
    await more(count);
  });

  expect(accepted.length).toBeGreaterThan(0);
  const ids = new Set(await idsOf(server));
  expect(accepted.filter((id) => !ids.has(id))).toEqual([]);
  expect(await ask(server.http, '/readyz').then(({ status }) => status)).toBe(200);
});

it('the only worker that is killed is replaced on the same ports', async () => {
  const server = await startPostern();
  const [worker] = workersOf(server);

  process.kill(worker!.pid, 'SIGKILL');

  const id = await until('mail is taken again', () =>
    submitOnce(server.smtp, server.key(), {}, PATIENCE).catch(() => false as const),
  );
  expect(await idsOf(server)).toContain(id);
});

it('when the supervisor is killed, workers and Redis end by themselves, and the next start has all mail', async () => {
  const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
  const key = server.key();

  const accepted = await whileSubmitting(server, key, async (count) => {
    await more(count);
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
    await until('no process is left', () => server.processes().length === 0);
  });

  expect(accepted.length).toBeGreaterThan(0);
  const again = await startPostern({ dataDir: server.dataDir });
  const ids = new Set(await idsOf(again));
  expect(accepted.filter((id) => !ids.has(id))).toEqual([]);
  expect(await submitOnce(again.smtp, key)).toHaveLength(22);
});

it('the embedded Redis that is killed is started again, and mail is taken again', async () => {
  const server = await startPostern();
  const [redis] = redisOf(server);

  const accepted = await whileSubmitting(server, server.key(), async (count) => {
    await more(count);
    process.kill(redis!.pid, 'SIGKILL');
    await until('another Redis', () => redisOf(server).some(({ pid }) => pid !== redis!.pid));
    await until('ready again', async () => (await ask(server.http, '/readyz')).status === 200);
    await more(count);
  });

  const ids = new Set(await idsOf(server));
  expect(accepted.filter((id) => !ids.has(id))).toEqual([]);
  expect(isAlive(server.pid)).toBe(true);
  expect(await server.stop()).toBe(0);
  expect(server.processes()).toEqual([]);
});

it('after everything is killed at once, the next start delivers all that was accepted', async () => {
  const hop = await startNextHop({ script: ({ stage }) => (stage === 'connect' ? '421 4.3.2 not now' : undefined) });
  try {
    const env = {
      POSTERN_RELAY_URL: hop.url,
      POSTERN_DELIVERY_LEASE_SECONDS: '1',
      POSTERN_DELIVERY_HOP_PAUSE_SECONDS: '0',
    };
    const retry = { ...env, POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1', POSTERN_WORKERS: '2' };
    const server = await startPostern({ env: retry });
    const key = server.key();

    const accepted = await whileSubmitting(server, key, async (count) => {
      await more(count);
      await server.killAll();
    });

    hop.setScript(() => undefined);
    await startPostern({ dataDir: server.dataDir, env: retry });
    const arrived = () => new Set(hop.messages.map(({ data }) => /\tid (\S+);/.exec(data.toString())?.[1]));
    await until('all mail has arrived', () => accepted.every((id) => arrived().has(id)));
    expect(accepted.length).toBeGreaterThan(0);
  } finally {
    await hop.stop();
  }
});

it('the next start has the ports as soon as the supervisor is dead, while a delivery of its worker still hangs', async () => {
  const hop = await startNextHop({ script: ({ stage }) => (stage === 'message' ? { hang: true } : undefined) });
  try {
    const server = await startPostern({ env: { POSTERN_RELAY_URL: hop.url } });
    await submitOnce(server.smtp, server.key());
    await hop.waitForMessages(1);
    const [worker] = workersOf(server);

    process.kill(server.pid, 'SIGKILL');
    await until('it is dead', () => !isAlive(server.pid));

    const ports = { POSTERN_SMTP_PORT: `${server.smtp}`, POSTERN_HTTP_PORT: server.http.split(':').at(-1)! };
    const env = { ...ports, POSTERN_RELAY_URL: hop.url, POSTERN_SMTP_SECURE_PORT: 'off' };
    const again = await until('a start', () =>
      startPostern({ dataDir: server.dataDir, env }).catch(() => false as const),
    );
    expect(workersOf(server).map(({ pid }) => pid)).toContain(worker!.pid);
    expect(await submitOnce(again.smtp, server.key())).toHaveLength(22);
  } finally {
    await hop.stop();
  }
});

it('a message in DATA may be finished when the supervisor is killed', async () => {
  const server = await startPostern();
  const dialogue = await logIn(server.smtp, server.key());
  for (const line of ['MAIL FROM:<app@example.com>', 'RCPT TO:<you@example.com>', 'DATA']) await dialogue.line(line);
  dialogue.send('Subject: half\r\n');

  process.kill(server.pid, 'SIGKILL');
  await until('it is dead', () => !isAlive(server.pid));

  expect(await dialogue.line('\r\nthe rest\r\n.')).toMatch(/^250 2\.6\.0 /);
  await until('no process is left', () => server.processes().length === 0);
});

it('no connection is left hanging when a worker dies', async () => {
  const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
  process.kill(workersOf(server)[0]!.pid, 'SIGKILL');
  const attempts = Array.from({ length: 4 }, () =>
    logIn(server.smtp, server.key(), { timeoutMs: 30_000 }).then(
      () => 'answered',
      (error: Error) => (/ in 30000 ms/.test(error.message) ? 'hangs' : 'ended'),
    ),
  );

  expect(await Promise.all(attempts)).not.toContain('hangs');
});
