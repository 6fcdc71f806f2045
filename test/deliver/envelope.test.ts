// The envelope at the next hop: every address as the client gave it, each recipient for itself, and none in a form that
// the next hop did not offer to take.
import { startNextHop, type NextHop } from '../support/next-hop.js';
import { queueId, startTestWorker, submit, type TestWorker } from '../support/worker.js';

let hop: NextHop;
let worker: TestWorker;

beforeAll(async () => {
  hop = await startNextHop({ extensions: ['PIPELINING', '8BITMIME'] });
  worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url } });
});
afterAll(async () => {
  await worker.stop();
  await hop.stop();
});

test('recipients that differ in case are two, A-labels stay as they are, and a quoted local part keeps its quotes', async () => {
  const dialogue = await worker.logIn((await worker.mint()).key);
  const to = ['a@example.com', 'A@example.com', 'b@xn--80ak6aa92e.com', '"c d"@example.com', 'a@example.com'];
  queueId(await submit(dialogue, 'Subject: x\r\n\r\n', to, 'App@XN--80AK6AA92E.com'));
  const [message] = await hop.waitForMessages(1);
  expect(message!.mailFrom).toBe('App@XN--80AK6AA92E.com');
  expect([...message!.recipients].sort()).toEqual([...new Set(to)].sort());
  await dialogue.close();
});

test('an address that needs SMTPUTF8 is not sent to a next hop without it: it fails, and says why', async () => {
  const before = hop.messages.length;
  const dialogue = await worker.logIn((await worker.mint()).key);
  expect(await dialogue.line('MAIL FROM:<app@example.com> SMTPUTF8')).toMatch(/^250 /);
  expect(await dialogue.line('RCPT TO:<\u0436@example.com>')).toMatch(/^250 /);
  expect(await dialogue.line('DATA')).toMatch(/^354 /);
  const id = queueId(await dialogue.line('Subject: x\r\n\r\n.'));
  const failed = await worker.log.line('message failed', (line) => line.id === id);
  expect(failed.reply).toBe('553 5.6.7 the next hop does not offer SMTPUTF8');
  expect(hop.messages.slice(before).flatMap(({ recipients }) => recipients)).not.toContain('\u0436@example.com');
  await dialogue.close();
});

test('octets above 127 go to a next hop without 8BITMIME as they are, and it is not told of an extension it has not', async () => {
  const plain = await startNextHop({ extensions: ['PIPELINING'] });
  const relaying = await startTestWorker({ env: { POSTERN_RELAY_URL: plain.url } });
  try {
    const dialogue = await relaying.logIn((await relaying.mint()).key);
    expect(await dialogue.line('MAIL FROM:<app@example.com> BODY=8BITMIME')).toMatch(/^250 /);
    expect(await dialogue.line('RCPT TO:<a@example.com>')).toMatch(/^250 /);
    expect(await dialogue.line('DATA')).toMatch(/^354 /);
    queueId(await dialogue.line('Subject: x\r\n\r\nGr\u00fc\u00dfe\r\n.'));
    const [message] = await plain.waitForMessages(1);
    expect(message!.mailParams).toBe('');
    expect(message!.data.toString()).toMatch(/\r\n\r\nGr\u00fc\u00dfe\r\n$/);
    await dialogue.close();
  } finally {
    await relaying.stop();
    await plain.stop();
  }
});
