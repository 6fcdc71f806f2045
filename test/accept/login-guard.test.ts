// Two processes and both doors: failures that one saw count at the other, and a good key logs in all the same.
import { ask } from '../support/contract.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

const env = {
  ...{ POSTERN_AUTH_MAX_FAILURES_PER_ADDRESS: '8', POSTERN_AUTH_MAX_DELAY_SECONDS: '0' },
  ...{ POSTERN_AUTH_BLOCK_SECONDS: '600', POSTERN_AUTH_WINDOW_SECONDS: '3600' },
};
let redis: TestRedis;
let workers: [TestWorker, TestWorker];
let key: string;
const opened: Dialogue[] = [];

beforeAll(async () => {
  redis = await startRedis();
  workers = [await startTestWorker({ redis, env }), await startTestWorker({ redis, env })];
  ({ key } = await workers[0].mint());
  // The bound is used up on the first worker alone, half by SMTP and half over HTTP.
  for (let at = 0; at < 4; at++) {
    expect(await attempt(workers[0], `wrong ${at}`)).toMatch(/^535 5\.7\.8 /);
    const { status } = await call(workers[0], `wrong-too-${at}`);
    expect(status).toBe(401);
  }
});
afterEach(() => Promise.all(opened.splice(0).map((dialogue) => dialogue.close())));
afterAll(async () => {
  for (const worker of workers) await worker.stop();
  await redis.stop();
});

async function attempt(worker: TestWorker, password: string): Promise<string> {
  const dialogue = await openDialogue(worker.port);
  opened.push(dialogue);
  await dialogue.ehlo();
  return dialogue.authPlain('apikey', password);
}

const call = (worker: TestWorker, password: string) => ask(worker.httpUrl, '/v3/scopes', { key: password });

it('the guess after the last one that is free is answered 421 4.7.0 by the other process, and 429 over HTTP', async () => {
  expect(await attempt(workers[1], 'one more')).toMatch(/^421 4\.7\.0 \S+ Too many failed logins .* \d+ seconds$/);
  const { status, headers, json } = await call(workers[1], 'one-more');
  expect(status).toBe(429);
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  expect(json).toMatchObject({
    errors: [{ field: null, message: expect.stringContaining('Too many failed logins') as string }],
  });
  expect(await attempt(workers[0], 'and one here')).toMatch(/^421 4\.7\.0 /);
});

it('an AUTH that cannot be read is a guess too', async () => {
  const dialogue = await openDialogue(workers[1].port);
  opened.push(dialogue);
  await dialogue.ehlo();

  expect(await dialogue.line('AUTH PLAIN !!!')).toMatch(/^421 4\.7\.0 /);
});

it('a good key from the same address logs in, over SMTP and HTTP, on both processes, also for the first time', async () => {
  const fresh = await workers[0].mint();
  for (const worker of workers) {
    for (const good of [key, fresh.key]) {
      expect(await attempt(worker, good)).toMatch(/^235 /);
      expect((await call(worker, good)).status).toBe(200);
    }
  }
});

it('many good keys that no memory knows are looked up a few at a time, and the others are told to come again', async () => {
  const replies = await Promise.all(
    Array.from({ length: 40 }, async () => attempt(workers[1], (await workers[0].mint()).key)),
  );

  expect(replies).toContain('235 2.7.0 Authentication successful');
  expect(replies.every((reply) => /^(235|454) /.test(reply))).toBe(true);
});
