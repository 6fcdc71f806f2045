// Promise 8: deleting or emptying what a restriction names refuses mail, it does not free the key.
import type { Restrictions } from '../../src/keys/policy.js';
import { openDialogue } from '../support/dialogue.js';
import { queueId, startTestWorker, submit, type TestWorker } from '../support/worker.js';

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

/** The first refusal that a transaction of this key meets, or the reply to its message. */
async function transact(
  key: string,
  { from = 'a@example.com', to = 'b@example.com', header = 'From: a@example.com' } = {},
) {
  const dialogue = await openDialogue(worker.port);
  try {
    await dialogue.ehlo();
    for (const say of [
      () => dialogue.authPlain('apikey', key),
      () => dialogue.line(`MAIL FROM:<${from}>`),
      () => dialogue.line(`RCPT TO:<${to}>`),
      () => dialogue.line('DATA'),
    ]) {
      const reply = await say();
      if (/^[45]/.test(reply)) return reply;
    }
    dialogue.send(`${header}\r\n\r\ntext\r\n.\r\n`);
    return await dialogue.reply();
  } finally {
    await dialogue.close();
  }
}

test.each<[string, Restrictions, RegExp]>([
  ['no senders', { from: [] }, /^550 5\.7\.1 The from address does not match a verified Sender Identity/],
  ['no recipients', { to: [] }, /^550 5\.7\.1 /],
  ['no networks', { ips: [] }, /^535 5\.7\.8 Authentication failed: The provided/],
  ['an end in the past', { expires_at: 1 }, /^535 5\.7\.8 Authentication failed: The provided/],
  ['an end at the epoch', { expires_at: 0 }, /^535 5\.7\.8 Authentication failed: The provided/],
  ['no recipients at all', { max_recipients: 0 }, /^452 4\.5\.3 /],
  ['no octets at all', { max_bytes: 0 }, /^552 5\.3\.4 /],
])('a key restricted to %s sends nothing', async (_name, restrictions, refusal) => {
  const { key } = await worker.mint({ restrictions });
  expect(await transact(key)).toMatch(refusal);
});

test('a restriction that was emptied later refuses at once, also in an open session', async () => {
  const { key, id } = await worker.mint({ restrictions: { from: ['example.com'] } });
  const dialogue = await worker.logIn(key);
  expect(await submit(dialogue, 'Subject: x\r\n\r\n', ['b@example.com'], 'a@example.com')).toMatch(/^250 /);
  await worker.keys.update(id, { restrictions: { from: [] } });
  expect(await dialogue.line('MAIL FROM:<a@example.com>')).toMatch(/^550 5\.7\.1 /);
  await dialogue.close();
});

test('a record whose restrictions cannot be read is no free key: logins are put off until it is mended', async () => {
  const { key, id } = await worker.mint({ restrictions: { from: ['example.com'] } });
  const client = worker.redis.client();
  for (const damage of ['', '{', 'null', '[]', '"from"']) {
    await client.hset(`postern:{keys}:key:${id}`, 'restrictions', damage);
    expect([damage, await transact(key)]).toEqual([damage, '454 4.7.0 Temporary authentication failure']);
  }
  await client.hdel(`postern:{keys}:key:${id}`, 'restrictions');
  expect(await transact(key)).toBe('454 4.7.0 Temporary authentication failure');
  await client.hset(`postern:{keys}:key:${id}`, 'restrictions', '{}', 'scopes', 'mail.send');
  expect(await transact(key)).toBe('454 4.7.0 Temporary authentication failure');
});

test.each([
  ['From: a@example.com, evil@other.test'],
  ['From: a@example.com\r\nFrom: evil@other.test'],
  ['From: "a@example.com" <evil@other.test>'],
  ['From: <a@example.com> <evil@other.test>'],
  ['From: a@example.com (comment) evil@other.test'],
  ['From: evil@other.test <a@example.com>'],
  ['From: group: evil@other.test;'],
  ['From: "unclosed <a@example.com>'],
  ['From: =?utf-8?q?evil=40other.test?= a@example.com'],
  ['from : evil@other.test'],
  ['From:\r\n evil@other.test'],
  ['From: '],
])('a key that may send as example.com may not with the header %j', async (header) => {
  const { key } = await worker.mint({ restrictions: { from: ['example.com'] } });
  expect(await transact(key, { header })).toMatch(/^550 5\.7\.1 The from address does not match/);
});

test('a From field behind a line that is no field is none: it is in the body for every reader', async () => {
  const { key } = await worker.mint({ restrictions: { from: ['example.com'] } });
  const header = 'Subject: x\r\nnot a field\r\nFrom: ceo@evil.test\r\nX-SMTPAPI: {}';
  const id = queueId(await transact(key, { header }));
  const stored = (await worker.desk.body(id))!.toString();
  expect(stored).toMatch(/\r\nSubject: x\r\n\r\nnot a field\r\nFrom: ceo@evil\.test\r\n/);
});

test.each([
  ['From: a@example.com'],
  ['From: "A, B" <a@EXAMPLE.com>'],
  ['From: =?utf-8?q?=C3=A9?= (a comment) <a@example.com>'],
  ['From: a@example.com, "b" <b@example.com>'],
  ['Subject: no From at all'],
])('and it may with the header %j', async (header) => {
  const { key } = await worker.mint({ restrictions: { from: ['example.com'] } });
  expect(await transact(key, { header })).toMatch(/^250 /);
});

test('a sender restriction covers MAIL FROM, the null sender too, and knows whole addresses', async () => {
  const { key } = await worker.mint({ restrictions: { from: ['app@example.com'] } });
  expect(await transact(key, { from: 'app@example.com', header: 'From: app@example.com' })).toMatch(/^250 /);
  for (const from of ['', 'other@example.com', 'app@sub.example.com', 'APP@example.com', 'app@example.com.evil.test']) {
    expect([from, await transact(key, { from })]).toEqual([from, expect.stringMatching(/^550 5\.7\.1 /)]);
  }
});

test('rate and quota are counted once for all sessions, and say how long to wait', async () => {
  const { key } = await worker.mint({ restrictions: { rate: { messages: 2, seconds: 60 } } });
  const replies = await Promise.all([1, 2, 3, 4].map(() => transact(key)));
  expect(replies.filter((reply) => reply.startsWith('250'))).toHaveLength(2);
  expect(replies.find((reply) => reply.startsWith('450'))).toMatch(/^450 4\.7\.1 .* in \d+ seconds$/);
  const other = await worker.mint({ restrictions: { quota: { messages: 1, seconds: 3600 } } });
  expect(await transact(other.key)).toMatch(/^250 /);
  expect(await transact(other.key)).toMatch(/^451 4\.7\.1 .* in 3\d\d\d seconds$/);
});

test('require_tls refuses the key in the clear and takes it over TLS', async () => {
  const { key } = await worker.mint({ restrictions: { require_tls: true } });
  expect(await transact(key)).toBe('530 5.7.0 This key requires TLS: issue STARTTLS first');
  const dialogue = await openDialogue(worker.securePort, { tls: true });
  await dialogue.ehlo();
  expect(await dialogue.authLogin('apikey', key)).toMatch(/^235 /);
  await dialogue.close();
});
