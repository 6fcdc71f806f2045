// Transcripts on a real Redis: where a session is found, how many are kept, and what is not written at all.
import { TranscriptSink } from '../../src/report/transcript-sink.js';
import { TranscriptStore } from '../../src/report/transcript-store.js';
import type { Transcript } from '../../src/report/transcript.js';
import { startRedis, type TestRedis } from '../support/redis.js';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.client().flushall());
afterAll(() => redis.stop());

const settings = { keepPerKey: 3, keepPerAddress: 2, keepHours: 1 };
const storeOf = (more: Partial<typeof settings> = {}, maxAddresses?: number) =>
  new TranscriptStore(redis.client(), { ...settings, ...more }, maxAddresses);

const NOW = Date.now();
const session = (id: string, more: Partial<Transcript> = {}): Transcript => ({
  ...{ id, startedAt: NOW, endedAt: NOW, client: '192.0.2.1', listener: 'smtp', tls: '', helo: 'client.test' },
  ...{ login: 'unknown', failedLogins: 1, refusals: 1, lines: [{ at: 1, text: 'S: 220' }], omitted: 0, ...more },
});
const valid = { login: 'valid', failedLogins: 0, refusals: 0, keyId: 'k' };
const ids = (found: Transcript[]): string[] => found.map(({ id }) => id);

test('a session is found by its id, its key, its address and its failure', async () => {
  const store = storeOf();
  await store.put(session('good', { ...valid, endedAt: NOW }));
  await store.put(session('revoked', { login: 'revoked', keyId: 'k', endedAt: NOW + 1 }));
  await store.put(session('elsewhere', { client: '2001:db8::1', endedAt: NOW + 2 }));
  expect(ids(await store.list({ limit: 9 }))).toEqual(['elsewhere', 'revoked', 'good']);
  expect(ids(await store.list({ limit: 1 }))).toEqual(['elsewhere']);
  expect(ids(await store.list({ keyId: 'k', limit: 9 }))).toEqual(['revoked', 'good']);
  expect(ids(await store.list({ keyId: 'k', failed: true, limit: 9 }))).toEqual(['revoked']);
  expect(ids(await store.list({ address: '192.0.2.1', limit: 9 }))).toEqual(['revoked']);
  expect(ids(await store.list({ address: '2001:db8::ffff', limit: 9 }))).toEqual(['elsewhere']);
  expect(await store.find('good')).toMatchObject({ login: 'valid', lines: [{ at: 1, text: 'S: 220' }] });
  expect(await store.find('none')).toBeUndefined();
});

test('each key and each address keeps its last ones, and a session goes with its last list', async () => {
  const store = storeOf();
  for (let at = 0; at < 5; at++) {
    await store.put(session(`s${at}`, { login: 'revoked', keyId: 'k', endedAt: NOW + at }));
  }
  expect(ids(await store.list({ keyId: 'k', limit: 9 }))).toEqual(['s4', 's3', 's2']);
  expect(ids(await store.list({ address: '192.0.2.1', limit: 9 }))).toEqual(['s4', 's3']);
  expect(ids(await store.list({ limit: 9 }))).toEqual(['s4', 's3', 's2']);
  expect(await store.find('s1')).toBeUndefined();
});

test('beyond the bound of addresses the oldest is forgotten with its sessions', async () => {
  const store = storeOf({}, 2);
  for (let at = 0; at < 4; at++) await store.put(session(`s${at}`, { client: `192.0.2.${at}`, endedAt: NOW + at }));
  expect(ids(await store.list({ limit: 9 }))).toEqual(['s3', 's2']);
  const kept = await redis.client().keys('*');
  expect(kept.filter((name) => name.includes('192.0.2.'))).toHaveLength(2);
});

test('every key expires, and all are in one slot of a Redis Cluster', async () => {
  await storeOf().put(session('s', { login: 'revoked', keyId: 'k' }));
  const names = await redis.client().keys('*');
  expect(names).toHaveLength(5);
  for (const name of names) {
    expect(name).toMatch(/^postern:\{sessions\}:/);
    const left = await redis.client().pttl(name);
    expect(left > 0 && left <= 3_600_000).toBe(true);
  }
});

test('nothing is written for a bound of 0', async () => {
  await storeOf({ keepPerKey: 0, keepPerAddress: 0 }).put(session('s', { keyId: 'k' }));
  await storeOf({ keepHours: 0 }).put(session('s', { keyId: 'k' }));
  expect(await redis.client().dbsize()).toBe(0);
});

test('a full Redis refuses transcripts', async () => {
  await redis.client().config('SET', 'maxmemory', '1');
  await expect(storeOf().put(session('s'))).rejects.toThrow(/OOM/);
  await redis.client().config('SET', 'maxmemory', '0');
});

test('a clean session is written once in ten seconds a key, failures five a second in all and ten of an address', () => {
  const put: string[] = [];
  const sink = new TranscriptSink({ put: ({ id }) => Promise.resolve(void put.push(id)) });
  const offer = (more: Partial<Transcript>) => sink.offer(session('s', more), () => ({ lines: [], omitted: 0 }));
  const count = (times: number, more: Partial<Transcript>): number => {
    put.length = 0;
    for (let at = 0; at < times; at++) offer(more);
    return put.length;
  };
  expect(count(3, valid)).toBe(1);
  expect(count(3, { ...valid, keyId: 'other' })).toBe(1);
  expect(count(3, { ...valid, endedAt: NOW + 10_000 })).toBe(1);
  expect(count(9, {})).toBe(5);
  expect(count(9, { endedAt: NOW + 1000 })).toBe(5);
  expect(count(9, { endedAt: NOW + 2000 })).toBe(0);
  expect(count(9, { endedAt: NOW + 2000, client: '192.0.2.2' })).toBe(5);
});

test('a store that is away harms nobody', () => {
  const sink = new TranscriptSink({ put: () => Promise.reject(new Error('away')) });
  expect(() => sink.offer(session('s'), () => ({ lines: [], omitted: 0 }))).not.toThrow();
});
