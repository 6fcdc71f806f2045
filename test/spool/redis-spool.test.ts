import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { StoreFull, StoreUnavailable } from '../../src/base/redis.js';
import type { Lease } from '../../src/spool/spool.js';
import { TestClock } from '../support/clock.js';
import { all, claimed, makeRecord, spoolFixture } from '../support/spool.js';
import { until } from '../support/until.js';

const { redisOf, spoolOf } = spoolFixture();

/** Keys of the shard, less the ids in them. */
async function kinds(): Promise<string[]> {
  const names = await redisOf().client().keys('postern:{s0}:*');
  return [...new Set(names.map((name) => name.split(':')[2]!))].sort();
}

test('a message that was put is claimed once, with its octets, and is gone after it was delivered', async () => {
  const { spool, desk, put } = spoolOf();
  const record = await put('Subject: x\r\n\r\nbody\r\n');
  const [lease, ...more] = await claimed(spool);
  expect(more).toEqual([]);
  expect(lease!.record).toEqual(record);
  expect(String(lease!.body() as Buffer)).toBe('Subject: x\r\n\r\nbody\r\n');
  expect(await spool.settle(lease!, all(lease!, 'delivered'))).toBe(true);
  const stored = (await desk.find(record.id))!;
  expect(stored).toMatchObject({ hasBody: false, retryAt: 0, damage: '' });
  expect(stored.recipients[0]!.state).toBe('delivered');
  expect(stored.doneAt).toBeGreaterThan(0);
  expect(await kinds()).toEqual(['done', 'index', 'm', 'ready']);
  expect(await desk.counts()).toEqual({ ready: 0, underWay: 0, deferred: 0, setAside: 0 });
});

test('before commit nobody can claim a message, and after abort nothing of it is left', async () => {
  const { spool, client } = spoolOf();
  await until('ready', () => client.status === 'ready');
  const writer = spool.begin('a'.repeat(22));
  await writer.write(randomBytes(300_000));
  expect(await kinds()).toEqual(['b']);
  expect(await client.ttl(`postern:{s0}:b:${'a'.repeat(22)}`)).toBeGreaterThan(3000);
  await writer.abort();
  expect(await kinds()).toEqual([]);
});

test('a large message goes in by pieces and comes out as a stream, octet for octet', async () => {
  const { spool, client } = spoolOf();
  await until('ready', () => client.status === 'ready');
  const octets = randomBytes(1_500_001);
  const record = makeRecord(octets.length, ['one@example.com'], 1);
  const writer = spool.begin(record.id);
  for (let at = 0; at < octets.length; at += 65_536) {
    await writer.write(octets.subarray(at, at + 65_536));
    expect(writer.buffered).toBeLessThan(262_144);
  }
  await writer.commit(record);
  const [lease] = await claimed(spool);
  for (let time = 0; time < 2; time++) {
    const body = lease!.body() as Readable;
    expect((await buffer(body)).equals(octets)).toBe(true);
  }
  expect(await client.ttl(`postern:{s0}:b:${record.id}`)).toBe(-1);
});

test('a message whose octets are not as many as its record says is refused at commit', async () => {
  const { spool, client } = spoolOf();
  await until('ready', () => client.status === 'ready');
  const writer = spool.begin('b'.repeat(22));
  await writer.write(Buffer.from('four'));
  await expect(writer.commit(makeRecord(5, ['x@example.com'], 1))).rejects.toThrow(StoreUnavailable);
  expect(await kinds()).toEqual([]);
});

test('a deferred message comes back when it is due, not before, and keeps what was recorded', async () => {
  const clock = new TestClock();
  const { spool, desk, put } = spoolOf({ clock });
  const record = await put('x', ['one@example.com', 'two@example.com']);
  const [first] = await claimed(spool);
  const settlement = all(first!, 'pending', clock.now() + 60_000);
  settlement.recipients[0]!.status.state = 'delivered';
  await spool.settle(first!, settlement);
  const [source] = spool.sources();
  expect(await source!.promote(clock.now() + 59_999)).toBe(0);
  expect((await desk.find(record.id))!.retryAt).toBe(clock.now() + 60_000);
  expect(await source!.promote(clock.now() + 60_000)).toBe(1);
  const [second] = await claimed(spool);
  expect(second!.recipients.map(({ state }) => state)).toEqual(['delivered', 'pending']);
  expect(second!.lostAttempts).toBe(0);
});

test('two workers never hold the same message, and only the holder settles it', async () => {
  const one = spoolOf({ consumer: 'one' });
  const two = spoolOf({ consumer: 'two' });
  for (let count = 0; count < 20; count++) await one.put('x');
  const mine = await claimed(one.spool, 10);
  const theirs = await claimed(two.spool, 20);
  expect(new Set([...mine, ...theirs].map(({ record }) => record.id)).size).toBe(20);
  expect(await two.spool.settle(mine[0]!, all(mine[0]!, 'delivered'))).toBe(false);
  expect(await one.spool.settle(mine[0]!, all(mine[0]!, 'delivered'))).toBe(true);
  // The same again, as after a lost answer, is a success and changes nothing.
  expect(await one.spool.settle(mine[0]!, all(mine[0]!, 'delivered'))).toBe(true);
  expect((await one.desk.find(mine[0]!.record.id))!.events).toHaveLength(1);
});

test('settlements in one call: one that meets an error of its own leaves the others alone', async () => {
  const { spool, desk, client, put } = spoolOf();
  for (let count = 0; count < 4; count++) await put('x');
  const leases = await claimed(spool, 4);
  const bad = `postern:{s0}:m:${leases[2]!.record.id}`;
  await client.multi().del(bad).set(bad, 'no hash').exec();
  const results = await Promise.allSettled(leases.map((lease) => spool.settle(lease, all(lease, 'delivered'))));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect((results[2] as PromiseRejectedResult).reason).toBeInstanceOf(StoreUnavailable);
  expect(await desk.counts()).toMatchObject({ ready: 0, underWay: 1 });
});

test('a message of 100 KB is kept octet for octet, for the process that put it and for any other, and does not expire', async () => {
  const [one, two] = [spoolOf({ consumer: 'one' }), spoolOf({ consumer: 'two' })];
  const octets = randomBytes(100_000);
  for (const { spool } of [one, two]) {
    const record = await one.put(octets);
    expect(await one.client.ttl(`postern:{s0}:b:${record.id}`)).toBe(-1);
    const [lease] = await claimed(spool);
    expect(lease!.body()).toEqual(octets);
  }
});

test('a renewed lease is not taken over; a silent one is, with a mark, and its old holder can do nothing', async () => {
  const one = spoolOf({ consumer: 'one', leaseSeconds: 1 });
  const two = spoolOf({ consumer: 'two', leaseSeconds: 1 });
  const record = await one.put('x');
  const [lease] = await claimed(one.spool);
  const silent = async (): Promise<number> => {
    const [entry] = (await one.client.xpending('postern:{s0}:ready', 'deliver', '-', '+', 1)) as [
      [string, string, number, number],
    ];
    return entry[2];
  };
  await until('it was silent for a while', async () => (await silent()) > 600);
  expect(await one.spool.renew([lease!])).toEqual([]);
  expect(await two.spool.sources()[0]!.reclaim(10)).toEqual([]);
  const [taken] = await until('a reclaim', async () => {
    const leases = await two.spool.sources()[0]!.reclaim(10);
    return leases.length > 0 && leases;
  });
  expect(taken!).toMatchObject({ record, lostAttempts: 1 });
  expect(await one.spool.renew([lease!])).toEqual([lease]);
  expect(await one.spool.settle(lease!, all(lease!, 'failed'))).toBe(false);
  await one.spool.release(lease!);
  await one.spool.setAside(lease!, 'its octets are no longer there');
  expect(one.damaged).toEqual([]);
  expect(await two.spool.settle(taken!, all(taken!, 'delivered'))).toBe(true);
  expect((await two.desk.find(record.id))!.events.map(({ type }) => type)).toEqual(['in-doubt', 'delivered']);
});

test('a message that was given back untried is claimed again without a mark', async () => {
  const { spool, put } = spoolOf();
  await put('x');
  const [lease] = await claimed(spool);
  await spool.release(lease!);
  const [again] = await claimed(spool);
  expect(again!.lostAttempts).toBe(0);
});

test.each<[string, (key: (kind: string) => string) => Promise<unknown>]>([
  ['lost its octets', (key) => redisOf().client().del(key('b'))],
  ['lost some of its octets', (key) => redisOf().client().set(key('b'), 'short')],
  ['lost its record', (key) => redisOf().client().hdel(key('m'), 'record')],
  ['has a record that cannot be read', (key) => redisOf().client().hset(key('m'), 'record', '{"id":')],
  [
    'has a record without recipients',
    (key) => redisOf().client().hset(key('m'), 'record', '{"envelope":{"from":"","to":[]},"size":1}'),
  ],
  ['is missing', (key) => redisOf().client().del(key('m'), key('b'))],
])('a message that %s is set aside, told of, and holds up nobody', async (_what, breakIt) => {
  const { spool, desk, put, damaged } = spoolOf();
  const record = await put('some octets');
  const healthy = await put('others');
  await breakIt((kind) => `postern:{s0}:${kind}:${record.id}`);
  const leases = await claimed(spool);
  expect(leases.map((lease) => lease.record.id)).toEqual([healthy.id]);
  expect(damaged.map(({ id }) => id)).toEqual([record.id]);
  expect((await desk.find(record.id))!.damage).not.toBe('');
  expect((await desk.list(10)).map((message) => message.record.id).sort()).toEqual([record.id, healthy.id].sort());
  expect(await desk.counts()).toMatchObject({ setAside: 1, underWay: 1 });
});

test('histories and captured mail are forgotten beyond their bounds: number, bytes and age', async () => {
  const clock = new TestClock();
  const { spool, desk, put, client } = spoolOf({
    clock,
    maxDone: 4,
    maxCaptured: 2,
    maxCapturedBytes: 25,
    keepHours: 1,
  });
  const end = async (octets: string, state: 'delivered' | 'captured') => {
    const record = await put(octets);
    const [lease] = await claimed(spool);
    clock.advance(1000);
    await spool.settle(lease!, all(lease!, state));
    return record.id;
  };
  const kept = async (): Promise<string[]> => (await desk.list(100)).map(({ record }) => record.id);
  const ids: string[] = [];
  for (let count = 0; count < 6; count++) ids.push(await end('x', 'delivered'));
  expect((await kept()).sort()).toEqual(ids.slice(2).sort());
  const [first, second, third] = [
    await end('0123456789', 'captured'),
    await end('0123456789', 'captured'),
    await end('0', 'captured'),
  ];
  expect(await kept()).not.toContain(first);
  expect(await kept()).toEqual(expect.arrayContaining([second, third]));
  const big = await end('0123456789012345678', 'captured');
  expect(await kept()).not.toContain(second);
  expect(await kept()).toContain(big);
  expect(await client.get('postern:{s0}:captured-bytes')).toBe('20');
  clock.advance(3_700_000);
  const last = await end('x', 'delivered');
  expect(await kept()).toEqual([last]);
  expect(await client.get('postern:{s0}:captured-bytes')).toBe('0');
  expect(await kinds()).toEqual(['captured-bytes', 'done', 'index', 'm', 'ready']);
});

test('histories are forgotten when their time is over, also where no mail comes any more', async () => {
  const clock = new TestClock();
  const { spool, desk, put } = spoolOf({ clock, keepHours: 1 });
  await put('x');
  const [lease] = await claimed(spool);
  await spool.settle(lease!, all(lease!, 'delivered'));
  const waiting = await put('y');
  const [source] = spool.sources();
  await source!.promote(clock.now() + 3_599_000);
  expect(await desk.list(10)).toHaveLength(2);
  await source!.promote(clock.now() + 3_601_000);
  expect((await desk.list(10)).map(({ record }) => record.id)).toEqual([waiting.id]);
});

test('a full store says so, and what is under way can still be settled', async () => {
  const { spool, put, client } = spoolOf();
  await put('x');
  const [lease] = await claimed(spool);
  await client.config('SET', 'maxmemory', '1mb');
  await expect(put('y')).rejects.toThrow(StoreFull);
  const large = spool.begin('e'.repeat(22));
  await expect(large.write(randomBytes(300_000))).rejects.toThrow(StoreFull);
  expect(await spool.settle(lease!, all(lease!, 'delivered'))).toBe(true);
  await client.config('SET', 'maxmemory', '0');
  await put('z');
});

test('a store that was emptied behind our back takes mail again', async () => {
  const { spool, put } = spoolOf();
  await put('x');
  await claimed(spool);
  await redisOf().client().flushall();
  await put('y');
  expect(await claimed(spool)).toHaveLength(1);
});

test('several shards are one spool', async () => {
  const { spool, desk, put } = spoolOf({ shards: 3 });
  const ids = new Set<string>();
  for (let count = 0; count < 6; count++) ids.add((await put('x')).id);
  const found: Lease[] = [];
  await until('all are claimed', async () => {
    for (const source of spool.sources()) found.push(...(await source.claim(10).catch(() => [])));
    return found.length >= 6;
  });
  expect(new Set(found.map(({ record }) => record.id))).toEqual(ids);
  expect(await spool.renew(found)).toEqual([]);
  for (const lease of found) expect(await spool.settle(lease, all(lease, 'delivered'))).toBe(true);
  expect(await desk.list(10)).toHaveLength(6);
});

test('a consumer that is gone is forgotten once nothing is in its name, and one with a claim is not', async () => {
  const one = spoolOf({ consumer: 'one', leaseSeconds: 0.5 });
  const holder = spoolOf({ consumer: 'holder', leaseSeconds: 0.5 });
  await one.put('settled');
  const [lease] = await claimed(one.spool);
  await one.spool.settle(lease!, all(lease!, 'delivered'));
  await one.put('held');
  const [held] = await claimed(holder.spool);
  const other = spoolOf({ consumer: 'other', leaseSeconds: 0.5 });
  await until('its connection is ready', () => other.client.status === 'ready');
  const names = async () => {
    const rows = (await one.client.xinfo('CONSUMERS', 'postern:{s0}:ready', 'deliver')) as string[][];
    return rows.map((row) => row[1]).toSorted();
  };
  expect(await names()).toEqual(['holder', 'one']);

  await until('it is forgotten', async () => {
    await holder.spool.renew([held!]);
    await other.spool.sources()[0]!.reclaim(10);
    return !(await names()).includes('one');
  });

  expect(await names()).toContain('holder');
  expect(await holder.spool.settle(held!, all(held!, 'delivered'))).toBe(true);
});
