// Promise 3: a revoked key is dead on every process within a second, and open sessions end with 421.
import type { Dialogue } from '../support/dialogue.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { startTestWorker, stuffed, submit, type TestWorker } from '../support/worker.js';

const DEAD = '421 4.7.0 postern.test The key of this session is no longer valid';
const UNKNOWN = '535 5.7.8 Authentication failed: The provided authorization grant is invalid, expired, or revoked';

let redis: TestRedis;
let workers: TestWorker[];

beforeAll(async () => {
  redis = await startRedis();
  // Some tests ask again and again until the key is dead.
  const env = { POSTERN_SMTP_MAX_COMMANDS: '100000' };
  workers = [await startTestWorker({ redis, env }), await startTestWorker({ redis, env })];
});
afterAll(async () => {
  for (const worker of workers) await worker.stop();
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

test('every open session ends with 421 at its next MAIL, RCPT or DATA', async () => {
  const { key, id } = await workers[0]!.mint();
  const sessions = await openSessions(key);
  await workers[0]!.keys.update(id, { revokedAt: Date.now() });
  const revokedAt = Date.now();
  for (const { dialogue, last } of sessions) {
    expect(await dialogue.line(last)).toBe(DEAD);
    await dialogue.closed;
  }
  // A second is promised; a busy test machine gets more.
  expect(Date.now() - revokedAt).toBeLessThan(5000);
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
  await until('the revocation is known', async () => (await worker.keys.find(id))!.revokedAt > 0);
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
  const { openDialogue } = await import('../support/dialogue.js');
  const last = await openDialogue(workers[1]!.port);
  await last.ehlo();
  expect(await last.authLogin('apikey', key)).toBe(UNKNOWN);
  await last.close();
});

test('a revocation whose push was lost is found within a second', async () => {
  const [worker] = workers as [TestWorker];
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const client = redis.client();
  // What `revoke` does, without telling anybody.
  await client
    .multi()
    .hset(`postern:{keys}:key:${id}`, 'revoked_at', Date.now())
    .incr('postern:{keys}:generation')
    .exec();
  const started = Date.now();
  const reply = await until('421', async () => {
    const answer = await dialogue.line('MAIL FROM:<a@example.com>');
    if (answer.startsWith('250')) await dialogue.line('RSET');
    return answer.startsWith('421') && answer;
  });
  expect(reply).toBe(DEAD);
  expect(Date.now() - started).toBeLessThan(5000);
});

test('a connection to Redis that was cut is not believed: the next command asks again', async () => {
  const [worker] = workers as [TestWorker];
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const client = redis.client();
  await client.hset(`postern:{keys}:key:${id}`, 'revoked_at', Date.now());
  await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  const reply = await until('421', async () => {
    const answer = await dialogue.line('MAIL FROM:<a@example.com>');
    if (answer.startsWith('250')) await dialogue.line('RSET');
    return answer.startsWith('421') && answer;
  });
  expect(reply).toBe(DEAD);
});

test('an expired key ends its open session at its time', async () => {
  const [worker] = workers as [TestWorker];
  const expiresAt = Math.ceil(Date.now() / 1000) + 1;
  const { key } = await worker.mint({ restrictions: { expires_at: expiresAt } });
  const dialogue = await worker.logIn(key);
  expect(await submit(dialogue, 'Subject: x\r\n\r\nx\r\n')).toMatch(/^250 /);
  const reply = await until('421', async () => {
    const answer = await dialogue.line('MAIL FROM:<a@example.com>');
    if (answer.startsWith('250')) await dialogue.line('RSET');
    return answer.startsWith('421') && answer;
  });
  expect(reply).toBe(DEAD);
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt * 1000);
});
