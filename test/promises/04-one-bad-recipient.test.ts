// Promise 4: one bad recipient does not hold the others, and is not held for them.
import { startNextHop, type NextHop } from '../support/next-hop.js';
import { queueId, startTestWorker, submit, type TestWorker } from '../support/worker.js';

let hop: NextHop;
let worker: TestWorker;

beforeAll(async () => {
  hop = await startNextHop();
  worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url, POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1' } });
});
afterAll(async () => {
  await worker.stop();
  await hop.stop();
});

test('of four recipients, two arrive at once, one fails at once, and one is tried again alone', async () => {
  let patience = 1;
  hop.setScript(({ stage, recipient }) => {
    if (stage !== 'rcpt') return undefined;
    if (recipient === 'nobody@example.com') return '550 5.1.1 no such user';
    if (recipient === 'later@example.com' && patience-- > 0) return '451 4.2.1 greylisted';
    return undefined;
  });
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const to = ['one@example.com', 'nobody@example.com', 'later@example.com', 'two@example.com'];
  const id = queueId(await submit(dialogue, 'Subject: four\r\n\r\n', to));
  // The third is the report of the failed one to the sender.
  const messages = (await hop.waitForMessages(3)).filter(({ mailFrom }) => mailFrom !== '');
  expect(messages.map(({ recipients }) => recipients)).toEqual([
    ['one@example.com', 'two@example.com'],
    ['later@example.com'],
  ]);
  await worker.log.line(
    'message delivered',
    (line) => line.id === id && JSON.stringify(line.to) === '["later@example.com"]',
  );
  const stored = (await worker.desk.find(id))!;
  expect(stored.recipients.map(({ state }) => state)).toEqual(['delivered', 'failed', 'delivered', 'delivered']);
  expect(stored.recipients.map(({ attempts }) => attempts)).toEqual([1, 1, 2, 1]);
  expect(stored.recipients[1]!.reply).toBe('550 5.1.1 no such user');
  expect(stored.doneAt).toBeGreaterThan(0);
  await dialogue.close();
});

test('a recipient that was put off keeps its own verdict when the message itself fails', async () => {
  hop.setScript(({ stage, recipient }) => {
    if (stage === 'rcpt' && recipient === 'later@example.com') return '450 4.2.1 busy';
    return stage === 'message' ? '554 5.6.0 bad content' : undefined;
  });
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const id = queueId(await submit(dialogue, 'Subject: bad\r\n\r\n', ['now@example.com', 'later@example.com']));
  await worker.log.line('message deferred', (line) => line.id === id);
  const stored = (await worker.desk.find(id))!;
  expect(stored.recipients.map(({ state }) => state)).toEqual(['failed', 'pending']);
  await worker.desk.cancel(id, Date.now());
  await dialogue.close();
});
