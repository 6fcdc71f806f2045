// Promise 1: after 250, kill -9 of any or all processes, Redis included, loses no message.
import { ask } from '../support/contract.js';
import { makeMessage, runLoad } from '../bench/load.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { startNextHop, type NextHop } from '../support/next-hop.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { queueId, startTestWorker, submit } from '../support/worker.js';

/** Sends messages with ids of their own and notes which were answered with 250; other replies are the client's loss. */
async function load(
  server: ReadyPostern,
  key: string,
  idPrefix: string,
  messages: number,
  onAccepted: (count: number) => void,
) {
  const accepted: string[] = [];
  const auth = { user: 'apikey', pass: key };
  await runLoad({
    ...{ port: server.smtp, connections: 6, messages, message: makeMessage(2000), mode: 'per-message', auth, idPrefix },
    onAccepted: (number) => {
      accepted.push(`${idPrefix}${String(number).padStart(8, '0')}`);
      onAccepted(accepted.length);
    },
  }).catch(() => {});
  return accepted;
}

const arrived = (hop: NextHop): Set<string> =>
  new Set(hop.messages.map(({ data }) => /X-Bench-Id: (\S+)/i.exec(data.toString('latin1', 0, 2000))?.[1] ?? ''));

const missing = (hop: NextHop, ids: string[]): string[] => {
  const there = arrived(hop);
  return ids.filter((id) => !there.has(id));
};

test('workers, Redis, and then everything at once are killed while mail comes in: all that was accepted arrives', async () => {
  const hop = await startNextHop();
  const env = {
    ...{ POSTERN_RELAY_URL: hop.url, POSTERN_WORKERS: '2', POSTERN_DELIVERY_LEASE_SECONDS: '1' },
    ...{ POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1', POSTERN_DELIVERY_RETRY_MAX_SECONDS: '1' },
  };
  const server = await startPostern({ env });
  const key = server.key();
  const kill = (which: RegExp): void => {
    const victim = server.processes().find(({ commandLine }) => which.test(commandLine));
    if (victim) process.kill(victim.pid, 'SIGKILL');
  };
  const accepted = await load(server, key, 'a-', 400, (count) => {
    if (count === 40 || count === 200) kill(/worker\.js/);
    if (count === 100) kill(/redis-server/);
  });
  expect(accepted.length).toBeGreaterThan(100);
  await until(
    'the service is back',
    () =>
      ask(server.http, '/readyz').then(
        ({ status }) => status === 200,
        () => false,
      ),
    30_000,
  );
  // Now the next hop takes nothing, so that everything is in the queue when the machine goes down.
  hop.setScript(({ stage }) => (stage === 'mail' ? '451 4.3.0 not now' : undefined));
  let down: Promise<void> | undefined;
  const more = await load(server, key, 'b-', 400, (count) => {
    if (count === 150) down = server.killAll();
  });
  await down;
  expect(more.length).toBeGreaterThanOrEqual(150);
  hop.setScript(() => undefined);
  const again = await startPostern({ env, dataDir: server.dataDir });
  expect(again.stdout()).not.toContain('SG.');
  const arrived = () => missing(hop, [...accepted, ...more]).length === 0;
  await until('everything that was accepted is at the next hop', arrived);
  expect(await again.stop()).toBe(0);
  await hop.stop();
});

test('a message is in Redis before its 250: Redis killed at that moment still has it', async () => {
  const redis = await startRedis();
  const worker = await startTestWorker({ redis, roles: ['accept'] });
  const { key } = await worker.mint();
  for (let round = 0; round < 5; round++) {
    const dialogue = await worker.logIn(key);
    const id = queueId(await submit(dialogue, `Subject: ${round}\r\n\r\n`));
    await redis.kill();
    await redis.start();
    await until('the store is back', async () => (await worker.desk.find(id).catch(() => undefined)) !== undefined);
    expect((await worker.desk.find(id))!.record.subject).toBe(String(round));
    await until('logins work again', () => ask(worker.httpUrl, '/readyz').then(({ status }) => status === 200));
    await dialogue.close();
  }
  await worker.stop();
  await redis.stop();
});
