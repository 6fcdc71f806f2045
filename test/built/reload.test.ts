// SIGHUP: every worker is replaced while mail is flowing, no transaction fails, and what the configuration file says
// now is in force. What is not usable changes nothing.
import { ask } from '../support/contract.js';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, logIn, submitOnce } from '../support/built-mail.js';
import { startPostern, temporaryFolder, type ReadyPostern } from '../support/built-server.js';
import { startNextHop } from '../support/next-hop.js';
import { until } from '../support/until.js';

const WORKER = /worker\.js/;
const workersOf = (server: ReadyPostern) =>
  server.processes().flatMap(({ pid, commandLine }) => (WORKER.test(commandLine) ? [pid] : []));

/** Sends until told to stop. @returns all replies to the final dot, or to what was refused before. */
function sendEndlessly(send: () => Promise<string>) {
  const replies: string[] = [];
  let stopped = false;
  const loop = (async () => {
    while (!stopped) replies.push(await send());
  })();
  return {
    replies,
    stop: async () => {
      stopped = true;
      await loop;
      return replies;
    },
  };
}

it('replaces all workers under load without a failed transaction, on kept connections and on new ones', async () => {
  const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
  const old = workersOf(server);
  expect(old).toHaveLength(2);
  const kept = await Promise.all(Array.from({ length: 3 }, () => logIn(server.smtp, server.key())));
  const senders = [
    ...kept.map((dialogue) => sendEndlessly(() => attempt(dialogue))),
    sendEndlessly(async () => `250 ${await submitOnce(server.smtp, server.key())}`),
    sendEndlessly(async () => `250 ${await submitOnce(server.smtps, server.key(), {}, { tls: true })}`),
  ];
  const idle = await logIn(server.smtp, server.key());
  await until('mail is flowing', () => senders.every(({ replies }) => replies.length > 2));

  server.signal('SIGHUP');

  await until('all are new', () => server.stderr().includes('reloaded: all workers are new'));
  const counts = senders.map(({ replies }) => replies.length);
  await until('more mail', () => senders.every(({ replies }, at) => replies.length > counts[at]! + 2));
  // A client that is silent is sent to a new worker.
  expect(await idle.reply()).toMatch(/^421 4\.3\.2 /);
  const replies = (await Promise.all(senders.map((sender) => sender.stop()))).flat();
  expect(replies.filter((reply) => !reply.startsWith('250 '))).toEqual([]);
  await Promise.all(kept.map((dialogue) => dialogue.close()));
  await until('the old ones have gone', () => !workersOf(server).some((pid) => old.includes(pid)));
  expect(workersOf(server)).toHaveLength(2);
  expect((await ask(server.http, '/readyz')).status).toBe(200);
  expect(await server.stop()).toBe(0);
});

it('ends with as many workers as there should be, also when one dies before its turn', async () => {
  const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
  const old = workersOf(server);

  server.signal('SIGHUP');
  process.kill(old.at(-1)!, 'SIGKILL');

  await until('all are new', () => server.stderr().includes('reloaded: all workers are new'));
  await until('two', () => workersOf(server).length === 2 && !workersOf(server).some((pid) => old.includes(pid)));
  expect(await submitOnce(server.smtp, server.key())).toHaveLength(22);
  expect(await server.stop()).toBe(0);
});

it('reads the configuration again, and keeps the old one when the new one is not usable', async () => {
  const hop = await startNextHop();
  const file = join(temporaryFolder(), 'postern.yml');
  writeFileSync(file, 'smtp: { maxMessageBytes: 100000 }\n');
  const server = await startPostern({ env: { POSTERN_CONFIG: file } });
  const sizeOffered = async () => {
    const dialogue = await logIn(server.smtp, server.key());
    const offered = await dialogue.ehlo();
    await dialogue.close();
    return /SIZE (\d+)/.exec(String(offered))?.[1];
  };
  expect(await sizeOffered()).toBe('100000');

  writeFileSync(file, 'smtp: { maxMessageBytes: many }\n');
  server.signal('SIGHUP');
  await until('the complaint', () => /maxMessageBytes.*reload given up/s.test(server.stderr()));
  expect(await sizeOffered()).toBe('100000');

  writeFileSync(file, `smtp: { maxMessageBytes: 200000 }\nrelay: { url: "${hop.url}" }\n`);
  server.signal('SIGHUP');
  await until('the new size', async () => (await sizeOffered()) === '200000');
  await submitOnce(server.smtp, server.key());
  await hop.waitForMessages(1);
  expect(await server.stop()).toBe(0);
  await hop.stop();
});

it('ends nothing when the new workers cannot start', async () => {
  const file = join(temporaryFolder(), 'postern.yml');
  writeFileSync(file, '');
  const server = await startPostern({ env: { POSTERN_CONFIG: file } });
  const [worker] = workersOf(server);
  writeFileSync(file, 'host: 192.0.2.1\n');
  server.signal('SIGHUP');
  await until('the complaint', () => server.stderr().includes('reload given up: a new worker did not start'));
  expect(workersOf(server)).toContain(worker);
  expect(await submitOnce(server.smtp, server.key())).toHaveLength(22);
  expect(await server.stop()).toBe(0);
});
