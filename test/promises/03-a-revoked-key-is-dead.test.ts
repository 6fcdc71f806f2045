// Promise 3: a revoked key is dead on every process within a second, and open sessions end with 421.
import { closedPort } from '../support/built-port.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { ask } from '../support/contract.js';
import { mail } from '../support/http-send.js';
import { Proxy } from '../support/proxy.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { DEAD_WITHIN_MS, firstRefusal, mailOn, scopesOf } from '../support/revocation.js';
import { until } from '../support/until.js';
import { startTestWorker, stuffed, submit, type TestWorker } from '../support/worker.js';

const DEAD = '421 4.7.0 postern.test The key of this session is no longer valid';
const UNKNOWN = '535 5.7.8 Authentication failed: The provided authorization grant is invalid, expired, or revoked';

let redis: TestRedis;
let workers: TestWorker[];
/** A worker, and the wire between it and Redis. The others have none that can be cut. */
let distant: TestWorker;
let wire: Proxy;

beforeAll(async () => {
  redis = await startRedis();
  // Some tests ask again and again until the key is dead.
  const env = { POSTERN_SMTP_MAX_COMMANDS: '100000' };
  workers = [await startTestWorker({ redis, env }), await startTestWorker({ redis, env })];
  wire = new Proxy(await closedPort(), { path: redis.socket });
  await wire.open();
  distant = await startTestWorker({
    redis: { ...redis, url: `redis://127.0.0.1:${wire.port}` },
    env: { ...env, POSTERN_REDIS_COMMAND_TIMEOUT_SECONDS: '1' },
  });
});
afterAll(async () => {
  for (const worker of [...workers, distant]) await worker.stop();
  wire.close();
  await redis.stop();
});

/** Sessions on both workers, each one command further than the one before. */
async function openSessions(key: string): Promise<{ dialogue: Dialogue; last: string }[]> {
  const sessions: { dialogue: Dialogue; last: string }[] = [];
  for (const worker of workers) {
    for (const said of [[], ['MAIL FROM:<a@example.com>'], ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>']]) {
      const dialogue = await worker.logIn(key);
      for (const line of said) expect(await dialogue.line(line)).toMatch(/^250 /);
      sessions.push({ dialogue, last: ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA'][said.length]! });
    }
  }
  return sessions;
}

/** What a send over HTTP is answered. */
const sendTo = (worker: TestWorker, key: string) => async (): Promise<string> =>
  String((await ask(worker.httpUrl, '/v3/mail/send', { method: 'POST', key, body: mail() })).status);

test('every open session ends with 421 at its next MAIL, RCPT or DATA', async () => {
  const { key, id } = await workers[0]!.mint();
  const sessions = await openSessions(key);
  await workers[0]!.keys.update(id, { revokedAt: Date.now() });
  const deadAt = Date.now() + DEAD_WITHIN_MS;
  for (const worker of workers) expect(await firstRefusal(deadAt, scopesOf(worker.httpUrl, key))).toBe('401');
  for (const { dialogue, last } of sessions) {
    expect(await dialogue.line(last)).toBe(DEAD);
    await dialogue.closed;
  }
});

test('a message whose key is revoked while it is sent is refused at its end', async () => {
  const [worker] = workers as [TestWorker];
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  await dialogue.line('MAIL FROM:<a@example.com>');
  await dialogue.line('RCPT TO:<b@example.com>');
  expect(await dialogue.line('DATA')).toMatch(/^354/);
  dialogue.send('Subject: late\r\n\r\n');
  await worker.keys.update(id, { revokedAt: Date.now() });
  await firstRefusal(Date.now() + DEAD_WITHIN_MS, scopesOf(worker.httpUrl, key));
  dialogue.send(stuffed(Buffer.from('text\r\n')));
  expect(await dialogue.reply()).toBe(DEAD);
  expect((await worker.desk.list(100)).filter((message) => message.record.keyId === id)).toEqual([]);
});

test('a revoked key looks like one that never was', async () => {
  const [worker] = workers as [TestWorker];
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  await dialogue.close();
  await worker.keys.update(id, { revokedAt: Date.now() });
  const again = await worker.logIn((await worker.mint()).key);
  await again.close();
  const refused = await workers[1]!.logIn((await worker.mint()).key);
  await refused.close();
  const last = await openDialogue(workers[1]!.port);
  await last.ehlo();
  expect(await last.authLogin('apikey', key)).toBe(UNKNOWN);
  await last.close();
});

test('over HTTP a revoked key is refused by every process, for mail and for anything else', async () => {
  const { key, id } = await workers[0]!.mint();
  for (const worker of workers) expect(await sendTo(worker, key)()).toBe('202');
  await workers[0]!.keys.update(id, { revokedAt: Date.now() });
  const deadAt = Date.now() + DEAD_WITHIN_MS;
  for (const worker of workers) {
    expect(await firstRefusal(deadAt, sendTo(worker, key))).toBe('401');
    expect(await scopesOf(worker.httpUrl, key)()).toBe('401');
  }
});

test('a revocation whose push was lost is found within a second, on every process', async () => {
  const { key, id } = await workers[0]!.mint();
  const dialogues = await Promise.all(workers.map((worker) => worker.logIn(key)));
  for (const worker of workers) expect(await scopesOf(worker.httpUrl, key)()).toBe('200');
  // What `revoke` does, without telling anybody.
  const silent = redis.client().multi().hset(`postern:{keys}:key:${id}`, 'revoked_at', Date.now());
  await silent.incr('postern:{keys}:generation').exec();
  const deadAt = Date.now() + DEAD_WITHIN_MS;
  const replies = await Promise.all([
    ...dialogues.map((dialogue) => firstRefusal(deadAt, mailOn(dialogue))),
    ...workers.map((worker) => firstRefusal(deadAt, scopesOf(worker.httpUrl, key))),
  ]);
  expect(replies).toEqual([DEAD, DEAD, '401', '401']);
});

test('a subscription that was cut is not believed: the next command asks again', async () => {
  const [worker] = workers as [TestWorker];
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const client = redis.client();
  await client.hset(`postern:{keys}:key:${id}`, 'revoked_at', Date.now());
  await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  expect(await firstRefusal(Date.now() + DEAD_WITHIN_MS, mailOn(dialogue))).toBe(DEAD);
});

test.each([
  ['is held up', () => wire.stall(true), () => Promise.resolve(wire.stall(false))],
  ['is cut and cannot be made again', () => wire.close(), () => wire.open()],
])(
  'while the wire to Redis %s, a key is no longer believed; once it is back, a dead one is',
  async (_how, cut, mend) => {
    const { key, id } = await workers[0]!.mint();
    const dialogue = await distant.logIn(key);
    expect(await scopesOf(distant.httpUrl, key)()).toBe('200');
    cut();
    await workers[0]!.keys.update(id, { revokedAt: Date.now() });
    const deadAt = Date.now() + DEAD_WITHIN_MS;
    const [smtp, http] = await Promise.all([
      firstRefusal(deadAt, mailOn(dialogue)),
      firstRefusal(deadAt, scopesOf(distant.httpUrl, key), /^[45]/),
    ]);
    // Nobody knows whether the key is dead: a fault for now, not a revocation.
    expect([smtp, http]).toEqual([expect.stringMatching(/^451 4\.3\.0 /), '503']);
    expect(await sendTo(distant, key)()).toBe('503');

    await mend();
    expect(await firstRefusal(deadAt, mailOn(dialogue), /^421/)).toBe(DEAD);
    expect(await firstRefusal(deadAt, sendTo(distant, key))).toBe('401');
    const other = await workers[0]!.mint();
    expect(await sendTo(distant, other.key)()).toBe('202');
  },
);

test('a message whose end comes while the wire to Redis is held up, and whose key dies meanwhile, is not kept', async () => {
  const { key, id } = await workers[0]!.mint();
  const dialogue = await distant.logIn(key);
  await dialogue.line('MAIL FROM:<a@example.com>');
  await dialogue.line('RCPT TO:<b@example.com>');
  expect(await dialogue.line('DATA')).toMatch(/^354/);
  dialogue.send('Subject: late\r\n\r\n');
  wire.stall(true);
  await workers[0]!.keys.update(id, { revokedAt: Date.now() });
  // What the worker remembers of keys is good for less than a second.
  const { key: witness } = await workers[0]!.mint();
  await until('nothing is believed', async () => (await scopesOf(distant.httpUrl, witness)()) === '503');
  dialogue.send('text\r\n.\r\n');
  expect(await dialogue.reply()).toMatch(/^451 4\.3\.0 /);
  wire.stall(false);
  await dialogue.close();
  expect((await workers[0]!.desk.list(100)).filter(({ record }) => record.keyId === id)).toEqual([]);
});

test('an expired key ends its open session at its time', async () => {
  const [worker] = workers as [TestWorker];
  const expiresAt = Math.ceil(Date.now() / 1000) + 4; // Time enough for a slow machine to send a mail before.
  const { key } = await worker.mint({ restrictions: { expires_at: expiresAt } });
  const dialogue = await worker.logIn(key);
  expect(await submit(dialogue, 'Subject: x\r\n\r\nx\r\n')).toMatch(/^250 /);
  expect(await firstRefusal(expiresAt * 1000, mailOn(dialogue))).toBe(DEAD);
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt * 1000);
  expect(await sendTo(worker, key)()).toBe('401');
});
