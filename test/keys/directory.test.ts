// Records of keys in memory: each of the three things that keep them true does so alone, with the other two taken away.
import { connectRedis, type RedisClient } from '../../src/base/redis.js';
import { KeyDirectory } from '../../src/keys/directory.js';
import { CHANGES, KeyStore } from '../../src/keys/store.js';
import { TestClock } from '../support/clock.js';
import { TestLog } from '../support/log.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { until } from '../support/until.js';

const ID = 'a'.repeat(22);
const GENERATION = 'postern:{keys}:generation';
const KEY = `postern:{keys}:key:${ID}`;

let redis: TestRedis;
let client: RedisClient;
const directories: KeyDirectory[] = [];

beforeAll(async () => {
  redis = await startRedis();
  client = redis.client();
});
beforeEach(async () => {
  await client.flushall();
  const fields = { hash: 'h', scopes: '["*"]', restrictions: '{}', created_at: '1', generation: '1', revoked_at: '0' };
  await client.hset(KEY, fields);
});
afterEach(() => directories.splice(0).forEach((directory) => directory.stop()));
afterAll(() => redis.stop());

/** A store whose counter of changes answers once, and then hangs. */
class HangingCounter extends KeyStore {
  #asked = false;

  override generation(): Promise<number> {
    if (this.#asked) return new Promise(() => {});
    this.#asked = true;
    return super.generation();
  }
}

/** A directory that knows the key, on a clock that stands still. */
async function directoryOf(
  store: KeyStore,
): Promise<{ directory: KeyDirectory; channel: RedisClient; clock: TestClock }> {
  const { log } = new TestLog();
  const channel = connectRedis({ url: redis.url, commandTimeoutSeconds: 5 }, 'keys', log, true);
  const clock = new TestClock();
  const directory = new KeyDirectory(store, channel, clock, log);
  directories.push(directory);
  directory.start();
  await until('the channel listens', async () => (await client.pubsub('NUMSUB', CHANGES))[1] !== 0);
  await until('the key is believed', async () => (await directory.find(ID)) && directory.cached(ID));
  return { directory, channel, clock };
}

test('the push alone makes it forget the key', async () => {
  const { directory, channel } = await directoryOf(new HangingCounter(client));
  await client.publish(CHANGES, 'b'.repeat(22));
  await client.publish(CHANGES, ID);
  await until('it is forgotten', () => directory.cached(ID) === undefined);
  channel.disconnect();
});

test('the counter alone makes it forget every key', async () => {
  const { directory, channel } = await directoryOf(new KeyStore(client));
  await client.incr(GENERATION);
  await until('it is forgotten', () => directory.cached(ID) === undefined);
  channel.disconnect();
});

test('with neither, nothing is believed when 900 ms are over', async () => {
  const { directory, channel, clock } = await directoryOf(new HangingCounter(client));
  clock.advance(899);
  expect(directory.cached(ID)).toMatchObject({ id: ID });
  clock.advance(1);
  expect(directory.cached(ID)).toBeUndefined();
  channel.disconnect();
});

test('a channel that was cut makes it forget every key at once', async () => {
  const { directory, channel } = await directoryOf(new HangingCounter(client));
  const closed = new Promise((resolve) => channel.once('close', resolve));
  await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await closed;
  expect(directory.cached(ID)).toBeUndefined();
  channel.disconnect();
});

test('an answer that was under way while the key changed is not kept', async () => {
  const { directory, channel } = await directoryOf(new HangingCounter(client));
  await client.publish(CHANGES, ID);
  await until('it is forgotten', () => directory.cached(ID) === undefined);
  const asked = directory.find(ID);
  channel.emit('message', CHANGES, ID);
  expect(await asked).toMatchObject({ id: ID });
  expect(directory.cached(ID)).toBeUndefined();
  channel.disconnect();
});

test('a counter that went backwards is an error in the log, and nothing is believed', async () => {
  const log = new TestLog();
  const channel = connectRedis({ url: redis.url, commandTimeoutSeconds: 5 }, 'keys', log.log, true);
  await client.set(GENERATION, '7');
  const directory = new KeyDirectory(new KeyStore(client), channel, new TestClock(), log.log);
  directories.push(directory);
  directory.start();
  await until('the key is believed', async () => (await directory.find(ID)) && directory.cached(ID));
  await client.set(GENERATION, '3');
  await log.line(/^the generation of keys went backwards/);
  expect(directory.cached(ID)).toBeUndefined();
  channel.disconnect();
});
