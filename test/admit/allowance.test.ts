// Rates and quotas of keys: exact, whoever asks at the same time, counted for accepted messages alone, and over when
// their time is. The clock is a test's; what expires in Redis does so in its own time, and is put there by hand.
import { Allowances } from '../../src/admit/allowance.js';
import type { Principal } from '../../src/authenticate/principal.js';
import type { Restrictions } from '../../src/keys/policy.js';
import { TestClock } from '../support/clock.js';
import { startTestWorker, submit, type TestWorker } from '../support/worker.js';

const PER_HOUR = { messages: 6, seconds: 3600 };

let worker: TestWorker;
let clock: TestClock;
/** As many processes as there are. */
let processes: Allowances[];
let count = 0;

beforeAll(async () => {
  worker = await startTestWorker();
});
beforeEach(() => {
  clock = new TestClock();
  processes = [1, 2, 3].map(() => new Allowances(worker.redis.client(), clock));
});
afterAll(() => worker.stop());

const principal = (restrictions: Restrictions): Principal => ({
  ...{ keyId: `key-${++count}`, secret: { mark: '', isOld: false }, scopes: ['*'], restrictions },
});
const [one] = [() => processes[0]!];

/** How many of so many questions at once are let through. */
async function taken(who: Principal, questions: number, messages = 1): Promise<number> {
  const asked = Array.from({ length: questions }, (_each, at) => processes[at % 3]!.take(who, messages));
  return (await Promise.all(asked)).filter((refusal) => refusal === undefined).length;
}

test.each<[string, Restrictions]>([
  ['rate', { rate: PER_HOUR }],
  ['quota', { quota: PER_HOUR }],
  ['rate beside a wider quota', { rate: PER_HOUR, quota: { messages: 7, seconds: 3600 } }],
  ['quota beside a wider rate', { rate: { messages: 7, seconds: 3600 }, quota: PER_HOUR }],
])('a %s lets through exactly what it says, from three processes at once', async (_which, restrictions) => {
  const who = principal(restrictions);
  expect(await taken(who, 30)).toBe(6);
  expect(await one().look(who)).toMatchObject({ row: { code: expect.any(Number) as number } });
});

test('a request of several messages is let through whole or not at all', async () => {
  const who = principal({ quota: PER_HOUR });
  expect(await taken(who, 5, 4)).toBe(1);
  expect(await taken(who, 5, 1)).toBe(2);
});

test('a rate lets one more through for each share of its time, and says when', async () => {
  const who = principal({ rate: PER_HOUR });
  await taken(who, 6);
  expect(await one().take(who)).toMatchObject({ reason: 'rate-limited', details: { seconds: 600 } });
  clock.advance(599_000);
  expect(await one().take(who)).toMatchObject({ details: { seconds: 1 } });
  clock.advance(1000);
  expect(await taken(who, 5)).toBe(1);
  clock.advance(3_600_000);
  expect(await taken(who, 20)).toBe(6);
});

test('what is given back may be taken again, and no more than that', async () => {
  const who = principal({ rate: PER_HOUR, quota: PER_HOUR });
  await taken(who, 6);
  await one().giveBack(who, 2, clock.now());
  expect(await taken(who, 10)).toBe(2);
});

test('what was taken in a period that is over is not given back in the next', async () => {
  const who = principal({ quota: PER_HOUR });
  await taken(who, 1);
  const takenAt = clock.now();
  await worker.redis.client().del(`postern:{limit:${who.keyId}}:quota`);
  clock.advance(3_600_000);
  await taken(who, 6);
  await one().giveBack(who, 1, takenAt);
  expect(await taken(who, 6)).toBe(0);
});

test('a message that a full store refuses costs nothing of quota and rate', async () => {
  const { key } = await worker.mint({ restrictions: { rate: PER_HOUR, quota: PER_HOUR } });
  const dialogue = await worker.logIn(key);
  const send = () => submit(dialogue, 'Subject: x\r\n\r\nx\r\n');
  const client = worker.redis.client();
  await client.config('SET', 'maxmemory', '1');
  try {
    for (let tries = 0; tries < 10; tries++) expect(await send()).toMatch(/^452 4\.3\.1 /);
  } finally {
    await client.config('SET', 'maxmemory', '0');
  }
  for (let sent = 0; sent < 6; sent++) expect(await send()).toMatch(/^250 2\.6\.0 /);
  expect(await dialogue.line('MAIL FROM:<a@example.com>')).toMatch(/^45[01] 4\.7\.1 /);
  await dialogue.close();
});
