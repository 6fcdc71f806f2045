import { TestClock } from '../support/clock.js';
import { all, claimed, spoolFixture } from '../support/spool.js';
import { until } from '../support/until.js';

const { spoolOf } = spoolFixture();

test('a message that was cancelled under way is not sent again when its worker is lost', async () => {
  const one = spoolOf({ consumer: 'one', leaseSeconds: 1 });
  const two = spoolOf({ consumer: 'two', leaseSeconds: 1 });
  const record = await one.put('x');
  await claimed(one.spool);
  expect(await two.desk.cancel(record.id, 5)).toBe('after-attempt');
  await until('the silent worker has lost it', async () => {
    expect(await two.spool.sources()[0]!.reclaim(10)).toEqual([]);
    return (await two.desk.find(record.id))!.doneAt > 0;
  });
  expect(await two.desk.counts()).toEqual({ ready: 0, underWay: 0, deferred: 0, setAside: 0 });
});

test('a worker that was lost counts against a message only until the next outcome', async () => {
  const clock = new TestClock();
  const { spool, desk, put, client } = spoolOf({ clock });
  const record = await put('x');
  await client.hset(`postern:{s0}:m:${record.id}`, 'lost', 3);
  const [lease] = await claimed(spool);
  expect(lease!.lostAttempts).toBe(3);
  await spool.settle(lease!, all(lease!, 'pending', clock.now()));
  await spool.sources()[0]!.promote(clock.now());
  const [again] = await claimed(spool);
  expect(again!.lostAttempts).toBe(0);
  await client.hset(`postern:{s0}:m:${record.id}`, 'lost', 8);
  await spool.release(again!);
  await until('it is set aside', async () => {
    await spool.sources()[0]!.claim(1);
    return (await desk.find(record.id))!.damage !== '';
  });
  expect(await desk.retry(record.id, clock.now())).toBe('queued');
  const [retried] = await claimed(spool);
  expect(retried).toMatchObject({ lostAttempts: 0, retriedAt: clock.now() });
});

test('a message with a damaged history can be looked at, listed and cancelled', async () => {
  const { desk, put, client } = spoolOf();
  const record = await put('x');
  await client.hset(`postern:{s0}:m:${record.id}`, 'r:0', '{garbage');
  expect(await desk.list(10)).toHaveLength(1);
  await client.hdel(`postern:{s0}:m:${record.id}`, 'sid');
  expect(await desk.cancel(record.id, 1)).toBe('cancelled');
});

test('cancelling takes a ready or deferred message out, and stops one under way after its attempt', async () => {
  const clock = new TestClock();
  const { spool, desk, put } = spoolOf({ clock });
  const ready = await put('x');
  expect(await desk.cancel(ready.id, clock.now())).toBe('cancelled');
  expect(await desk.cancel(ready.id, clock.now())).toBe('ended');
  const second = await put('x');
  const [lease] = await claimed(spool);
  expect(lease!.record.id).toBe(second.id);
  expect(await desk.cancel(second.id, clock.now())).toBe('after-attempt');
  await spool.settle(lease!, all(lease!, 'pending', clock.now() + 1000));
  expect((await desk.find(second.id))!).toMatchObject({ retryAt: 0, doneAt: clock.now(), hasBody: false });
  const third = await put('x');
  const [deferred] = await claimed(spool);
  await spool.settle(deferred!, all(deferred!, 'pending', clock.now() + 1000));
  expect(await desk.cancel(third.id, clock.now())).toBe('cancelled');
  expect(await desk.counts()).toEqual({ ready: 0, underWay: 0, deferred: 0, setAside: 0 });
  expect(await desk.cancel('c'.repeat(22), clock.now())).toBe('not-found');
});

test('retrying brings a deferred, captured or set-aside message back, and says why it cannot', async () => {
  const clock = new TestClock();
  const { spool, desk, put } = spoolOf({ clock });
  const record = await put('octets');
  expect(await desk.retry(record.id, clock.now())).toBe('already-queued');
  const [lease] = await claimed(spool);
  expect(await desk.retry(record.id, clock.now())).toBe('under-way');
  await spool.settle(lease!, all(lease!, 'pending', clock.now() + 3_600_000));
  expect(await desk.retry(record.id, clock.now())).toBe('queued');
  const [again] = await claimed(spool);
  await spool.settle(again!, all(again!, 'captured'));
  expect(await desk.retry(record.id, clock.now())).toBe('queued');
  const [third] = await claimed(spool);
  expect(third!.recipients[0]!.state).toBe('pending');
  await spool.setAside(third!, 'for a person');
  expect((await desk.find(record.id))!.damage).toBe('for a person');
  expect(await desk.retry(record.id, clock.now())).toBe('queued');
  const [fourth] = await claimed(spool);
  await spool.settle(fourth!, all(fourth!, 'delivered'));
  expect(await desk.retry(record.id, clock.now())).toBe('no-body');
  expect(await desk.retry('d'.repeat(22), clock.now())).toBe('not-found');
});
