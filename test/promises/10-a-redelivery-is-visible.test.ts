// Promise 10: where at-least-once means twice, it is counted, logged and only for the recipients in doubt.
import { startNextHop } from '../support/next-hop.js';
import { startRedis } from '../support/redis.js';
import { claimed, testSpool } from '../support/spool.js';
import { queueId, startTestWorker, submit } from '../support/worker.js';

test('after a lost final reply only the recipients in doubt are tried again, and it shows', async () => {
  const hop = await startNextHop();
  let drops = 1;
  hop.setScript(({ stage, recipient }) => {
    if (stage === 'rcpt' && recipient === 'nobody@example.com') return '550 5.1.1 no such user';
    return stage === 'message' && drops-- > 0 ? { drop: true } : undefined;
  });
  const worker = await startTestWorker({
    env: { POSTERN_RELAY_URL: hop.url, POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1' },
  });
  const dialogue = await worker.logIn((await worker.mint()).key);
  const id = queueId(await submit(dialogue, 'Subject: x\r\n\r\n', ['one@example.com', 'nobody@example.com']));
  const first = await worker.log.line('message in-doubt', (line) => line.id === id);
  expect(first.to).toEqual(['one@example.com']);
  expect((await worker.desk.find(id))!.recipients[0]).toMatchObject({ state: 'pending', inDoubt: 1 });
  const second = await worker.log.line(
    /^trying again after an attempt whose end was not seen/,
    (line) => line.id === id,
  );
  expect(second.recipients).toEqual(['one@example.com']);
  await worker.log.line('message delivered', (line) => line.id === id);
  const ours = hop.messages.filter(({ mailFrom }) => mailFrom !== '');
  expect(ours.map(({ recipients }) => recipients)).toEqual([['one@example.com'], ['one@example.com']]);
  expect(await worker.metrics.registry.getSingleMetricAsString('postern_redeliveries_total')).toMatch(/total 1$/m);
  const stored = (await worker.desk.find(id))!;
  expect(stored.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['in-doubt', 'failed', 'delivered']));
  await dialogue.close();
  await worker.stop();
  await hop.stop();
});

test('a message of a worker that fell silent is marked before another worker tries it', async () => {
  const hop = await startNextHop();
  const redis = await startRedis();
  const { spool, put, close } = testSpool(redis, { consumer: 'lost', leaseSeconds: 1 });
  const record = await put('Subject: x\r\n\r\n', ['one@example.com', 'two@example.com']);
  const [lease] = await claimed(spool);
  expect(lease!.lostAttempts).toBe(0);
  // From here on its holder says nothing: no renewal, no outcome.
  const worker = await startTestWorker({
    ...{ redis, roles: ['deliver'] },
    env: { POSTERN_RELAY_URL: hop.url, POSTERN_DELIVERY_LEASE_SECONDS: '1' },
  });
  const line = await worker.log.line(/^trying again after/, ({ id }) => id === record.id);
  expect(line.recipients).toEqual(['one@example.com', 'two@example.com']);
  await worker.log.line('message delivered', ({ id }) => id === record.id);
  const stored = (await worker.desk.find(record.id))!;
  expect(stored.events.map(({ type }) => type)).toEqual(['in-doubt', 'delivered']);
  // The one that comes back late finds that the message is not its own any more, and changes nothing.
  const late = { recipients: [], events: [], retryAt: Date.now(), keepBody: false };
  expect(await spool.settle(lease!, late)).toBe(false);
  expect(await spool.renew([lease!])).toEqual([lease]);
  await worker.stop();
  await close();
  await redis.stop();
  await hop.stop();
});
