import { randomBytes } from 'node:crypto';
import { StoreFull } from '../../src/base/redis.js';
import { claimed, spoolFixture } from '../support/spool.js';
import { until } from '../support/until.js';

const { redisOf, spoolOf } = spoolFixture();

/** Some go in a command of their own, some in the script's arguments. */
const SIZES = [10, 20_000, 16_383, 100_000, 16_384, 200_000];

test('small and large messages that come together are kept whole, and do not expire', async () => {
  const { spool, put, client } = spoolOf();
  const octets = [...SIZES, ...SIZES, ...SIZES, ...SIZES].map((size) => randomBytes(size));
  const records = await Promise.all(octets.map((each) => put(each)));
  const leases = await claimed(spool, octets.length);
  const found = new Map(leases.map((lease) => [lease.record.id, lease.body() as Buffer]));
  records.forEach(({ id }, at) => expect(found.get(id)!.equals(octets[at]!)).toBe(true));
  for (const { id } of records) expect(await client.ttl(`postern:{s0}:b:${id}`)).toBe(-1);
});

test('large messages that wait for each other go in one transaction, sixteen at a time', async () => {
  const { put, client } = spoolOf();
  await until('ready', () => client.status === 'ready');
  // The first goes alone, those behind it together.
  await Promise.all(Array.from({ length: 20 }, () => put(randomBytes(20_000))));
  expect(await client.info('commandstats')).toMatch(/^cmdstat_exec:calls=3,/m);
});

test('a full store refuses each of the large messages that come together, and nothing of them is left', async () => {
  const { put, client } = spoolOf();
  await until('ready', () => client.status === 'ready');
  await put(randomBytes(20_000));
  const before = await redisOf().client().keys('*');
  await client.config('SET', 'maxmemory', '1mb');
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => put(randomBytes(20_000))));
  for (const outcome of outcomes) expect(outcome.status === 'rejected' && outcome.reason).toBeInstanceOf(StoreFull);
  expect(await redisOf().client().keys('*')).toEqual(before);
  await client.config('SET', 'maxmemory', '0');
  await put(randomBytes(20_000));
});

test('a store that has forgotten the script takes large messages all the same', async () => {
  const { spool, put, client } = spoolOf();
  await put(randomBytes(20_000));
  await client.script('FLUSH');
  const octets = randomBytes(20_000);
  const { id } = await put(octets);
  const [, second] = await claimed(spool, 2);
  expect(second!.record.id).toBe(id);
  expect((second!.body() as Buffer).equals(octets)).toBe(true);
});
