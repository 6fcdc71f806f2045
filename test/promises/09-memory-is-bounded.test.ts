// Promise 9: memory is bounded by settings, whatever clients send; a full store answers 452 and recovers.
import { openDialogue } from '../support/dialogue.js';
import { call, mail } from '../support/http-send.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { startTestWorker, stuffed, submit, type TestWorker } from '../support/worker.js';

const HEADER = 'Subject: big\r\n\r\n';

async function beginData(worker: TestWorker, key: string) {
  const dialogue = await worker.logIn(key);
  await dialogue.line('MAIL FROM:<a@example.com>');
  await dialogue.line('RCPT TO:<b@example.com>');
  expect(await dialogue.line('DATA')).toMatch(/^354 /);
  return dialogue;
}

test('messages under way share one budget: beyond it 452, and the room comes back', async () => {
  const worker = await startTestWorker({ env: { POSTERN_SMTP_MAX_BUFFERED_BYTES: '1048576' } });
  const { key } = await worker.mint();
  const holders = await Promise.all(Array.from({ length: 8 }, () => beginData(worker, key)));
  // Each holds 200 KB: less than a piece, so that it stays in memory. Five fit into the budget, eight do not.
  for (const holder of holders) holder.send(HEADER + 'x'.repeat(200_000));
  for (const holder of holders) holder.send('\r\n.\r\n');
  const replies = await Promise.all(holders.map((holder) => holder.reply()));
  expect(replies.filter((reply) => /^452 4\.3\.1 /.test(reply)).length).toBeGreaterThanOrEqual(1);
  expect(replies.filter((reply) => /^250 /.test(reply)).length).toBeGreaterThanOrEqual(1);
  for (const holder of holders) expect(await submit(holder, `${HEADER}small\r\n`)).toMatch(/^250 /);
  await worker.stop();
});

test('a client that vanishes in DATA leaves nothing behind', async () => {
  const worker = await startTestWorker();
  const { key } = await worker.mint();
  const dialogue = await beginData(worker, key);
  dialogue.send(HEADER + 'x'.repeat(1_000_000));
  const client = worker.redis.client();
  const bodies = async (): Promise<string[]> => client.keys('postern:{s0}:*');
  await until('a piece is in Redis', async () => (await bodies()).some((name) => name.includes(':b:')));
  const [piece] = (await bodies()).filter((name) => name.includes(':b:'));
  expect(await client.ttl(piece!)).toBeGreaterThan(0);
  await dialogue.close();
  await until('nothing is left', async () => !(await bodies()).some((name) => name.includes(':b:')));
  await worker.stop();
});

test('a client that goes on beyond the limit is cut off, with 552', async () => {
  const worker = await startTestWorker({ env: { POSTERN_SMTP_MAX_MESSAGE_BYTES: '100000' } });
  const { key } = await worker.mint();
  const over = await beginData(worker, key);
  over.send(stuffed(Buffer.from(HEADER + 'x'.repeat(100_001) + '\r\n')));
  expect(await over.reply()).toBe('552 5.3.4 Message exceeds the maximum size of 100000 bytes');
  expect(await over.line('NOOP')).toMatch(/^250 /);
  await over.close();
  const endless = await beginData(worker, key);
  endless.send('x'.repeat(3_000_000));
  expect(await endless.reply()).toMatch(/^552 5\.3\.4 /);
  await endless.closed;
  await worker.stop();
});

test('a header block without end is refused, and a body without a header is none', async () => {
  const worker = await startTestWorker();
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  expect(await submit(dialogue, `${'X-Long: y\r\n'.repeat(30_000)}\r\n`)).toMatch(/^554 5\.6\.0 Header block/);
  expect(await submit(dialogue, `${'X: y\r\n'.repeat(1001)}\r\n`)).toMatch(/^554 5\.6\.0 Header block/);
  expect(await submit(dialogue, `${'Received: x\r\n'.repeat(101)}\r\n`)).toBe(
    '554 5.4.6 Too many hops: more than 100 Received fields',
  );
  expect(await submit(dialogue, `${'Received: x\r\n'.repeat(100)}\r\n`)).toMatch(/^250 /);
  expect(await submit(dialogue, 'no header here\r\n'.repeat(30_000))).toMatch(/^250 /);
  await dialogue.close();
  await worker.stop();
});

test('connections are bounded in total and by address, and each says why', async () => {
  const worker = await startTestWorker({
    env: { POSTERN_SMTP_MAX_CONNECTIONS: '3', POSTERN_SMTP_MAX_CONNECTIONS_PER_ADDRESS: '2' },
  });
  const open = [await openDialogue(worker.port), await openDialogue(worker.port)];
  const third = await openDialogue(worker.port);
  expect(third.greeting).toBe('421 4.7.0 postern.test Too many connections from your address');
  await third.closed;
  await open[0]!.close();
  await until('room for one more', async () => {
    const dialogue = await openDialogue(worker.port);
    await dialogue.close();
    return dialogue.greeting.startsWith('220');
  });
  await open[1]!.close();
  await worker.stop();
});

test('a full Redis answers 452 and takes mail again when there is room', async () => {
  const redis = await startRedis({ args: ['--maxmemory', '12mb'] });
  const worker = await startTestWorker({ redis });
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const reply = await until('a full store', async () => {
    const answer = await submit(dialogue, HEADER + 'x'.repeat(400_000) + '\r\n');
    return answer.startsWith('4') && answer;
  });
  expect(reply).toBe('452 4.3.1 Insufficient system storage, try again later');
  expect(await dialogue.line('NOOP')).toMatch(/^250 /);
  await redis.client().config('SET', 'maxmemory', '200mb');
  expect(await submit(dialogue, `${HEADER}small\r\n`)).toMatch(/^250 /);
  await dialogue.close();
  await worker.stop();
  await redis.stop();
});

test('a full Redis answers 503 over HTTP, keeps what it accepted, and takes mail again when there is room', async () => {
  const redis = await startRedis({ args: ['--maxmemory', '12mb'] });
  const worker = await startTestWorker({ redis, roles: ['accept'] });
  const { key } = await worker.mint();
  const ids: (string | null)[] = [];
  const send = async (value: string) => {
    const body = JSON.stringify(mail({ content: [{ type: 'text/plain', value }] }));
    const answer = await call(worker, '/v3/mail/send', { key, body });
    if (answer.status === 202) ids.push(answer.headers.get('x-message-id'));
    return answer;
  };
  const full = await until('a full store', async () => {
    const answer = await send('x'.repeat(400_000));
    return answer.status !== 202 && answer;
  });
  expect(full.status).toBe(503);
  expect(full.json).toMatchObject({ errors: [{ message: expect.stringMatching(/\S/) as string }] });
  await redis.client().config('SET', 'maxmemory', '200mb');
  expect((await send('small')).status).toBe(202);
  const stored = (await worker.desk.list(1000)).map(({ record }) => record.id);
  expect(stored.toSorted()).toEqual(ids.toSorted());
  await worker.stop();
  await redis.stop();
});

test('a full disk answers 452 at MAIL and at the end of DATA, and mail is taken again when there is room', async () => {
  let hasRoom = true;
  const worker = await startTestWorker({ hasRoom: () => hasRoom });
  const dialogue = await beginData(worker, (await worker.mint()).key);
  hasRoom = false;
  expect(await dialogue.line(`${HEADER}x\r\n.`)).toBe('452 4.3.1 Insufficient system storage, try again later');
  expect(await dialogue.line('MAIL FROM:<a@example.com>')).toMatch(/^452 4\.3\.1 /);
  hasRoom = true;
  expect(await submit(dialogue, `${HEADER}small\r\n`)).toMatch(/^250 /);
  expect(await worker.desk.list(10)).toHaveLength(1);
  await dialogue.close();
  await worker.stop();
});

test('captured mail is kept within its bounds, the oldest goes first', async () => {
  const worker = await startTestWorker({ env: { POSTERN_CAPTURE_MAX_MESSAGES: '3' } });
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  for (const name of ['1', '2', '3', '4', '5'])
    expect(await submit(dialogue, `Subject: ${name}\r\n\r\n`)).toMatch(/^250 /);
  await until('two are gone', async () => (await worker.desk.list(10)).length === 3);
  expect((await worker.desk.list(10)).map(({ record }) => record.subject).sort()).toEqual(['3', '4', '5']);
  await dialogue.close();
  await worker.stop();
});
