// What a client sees that guesses, and what everybody else at its address sees.
import { clientNetworks } from '../../src/base/address.js';
import { connectRedis, whenReady, type RedisClient } from '../../src/base/redis.js';
import { FailureCount } from '../../src/authenticate/failure-count.js';
import { LoginGuard } from '../../src/authenticate/login-guard.js';
import { TestLog } from '../support/log.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { PATIENCE_MS } from '../support/until.js';

const SETTINGS = {
  ...{ maxFailuresPerAddress: 6, maxFailuresPerNetwork: 12 },
  ...{ windowSeconds: 60, blockSeconds: 30, maxDelaySeconds: 3 },
};
let redis: TestRedis;
let commands: RedisClient;
const clock = { at: 1_700_000_000_000, now: () => clock.at };
let address = 0;

beforeAll(async () => {
  redis = await startRedis();
  commands = connectRedis({ url: redis.url, commandTimeoutSeconds: 5 }, 'commands', new TestLog().log);
  await whenReady(commands, PATIENCE_MS);
});
afterAll(async () => {
  commands.disconnect();
  await redis.stop();
});

/** A process of its own: what it waits for is written down and over at once. */
function process(client = commands) {
  const log = new TestLog();
  const waits: number[] = [];
  const guard = new LoginGuard({
    count: new FailureCount(client, SETTINGS),
    settings: SETTINGS,
    fingerprint: (presented) => `#${presented}`,
    ...{ clock, log: log.log },
    metrics: { loginBlocks: { inc: () => {} }, delayedLogins: { set: () => {} } },
    wait: (ms) => Promise.resolve(void waits.push(Math.round(ms))),
  });
  return { guard, waits, log, fail: (from: string, presented: string) => guard.failed(from, presented) };
}

/** A client in a network that no other test has. */
const stranger = (): string => `10.${++address}.0.1`;

async function guess(fail: (from: string, presented: string) => Promise<unknown>, from: string, times: number) {
  const answers: unknown[] = [];
  for (let at = 0; at < times; at++) answers.push(await fail(from, `guess ${at}`));
  return answers;
}

it('typing errors cost nothing, then refusals come later and later, and then the guess is blocked', async () => {
  const { fail, waits, guard } = process();
  const answers = await guess(fail, stranger(), 7);

  expect(answers.slice(0, 6)).toEqual(Array(6).fill(undefined));
  expect(waits).toEqual([600, 1200, 1800, 2400, 3000]);
  expect(answers[6]).toMatchObject({ reason: 'too-many-failed-logins', details: { seconds: 30 } });
  guard.stop();
});

it('failures are counted over processes, and another process blocks too', async () => {
  const [one, other] = [process(), process()];
  const from = stranger();
  await guess(one.fail, from, 6);

  expect(await other.fail(from, 'another guess')).toMatchObject({ reason: 'too-many-failed-logins' });
  expect(await one.fail(from, 'and another')).toMatchObject({ reason: 'too-many-failed-logins' });
  one.guard.stop();
  other.guard.stop();
});

it('a block ends, and the count sinks while nothing happens', async () => {
  const { fail, guard } = process();
  const from = stranger();
  await guess(fail, from, 7);
  clock.at += 31_000;

  expect(await fail(from, 'after the block')).toBeUndefined();
  clock.at += 61_000;
  expect((await guess(fail, from, 6)).every((answer) => answer === undefined)).toBe(true);
  guard.stop();
});

it('the same wrong key again and again counts half for the address and nothing for the network', async () => {
  const { fail, guard } = process();
  const from = stranger();
  const client = clientNetworks(from);
  for (let at = 0; at < 11; at++) expect(await fail(from, 'an old key')).toBeUndefined();

  expect(await fail(from, 'an old key')).toMatchObject({ reason: 'too-many-failed-logins' });
  expect(Number(await commands.hget(`postern:{guard:${client.network}}:network`, 'level'))).toBe(1);
  guard.stop();
});

it('many addresses of one network are blocked together, and the next network is not', async () => {
  const { fail, guard } = process();
  const network = `10.${++address}.0`;
  for (let at = 1; at <= 12; at++) expect(await fail(`${network}.${at}`, `guess ${at}`)).toBeUndefined();

  expect(await fail(`${network}.13`, 'guess 13')).toMatchObject({ reason: 'too-many-failed-logins' });
  expect(await fail(`10.${address}.1.1`, 'guess 14')).toBeUndefined();
  guard.stop();
});

it('a blocked client may have ten unknown keys looked up in a second, others as many as they like', async () => {
  const { fail, guard } = process();
  const from = stranger();
  await guess(fail, from, 7);
  const allowed = Array.from({ length: 15 }, () => guard.mayLookUp(from)).filter(Boolean);

  expect(allowed).toHaveLength(10);
  expect(guard.mayLookUp(stranger())).toBe(true);
  clock.at += 1000;
  expect(guard.mayLookUp(from)).toBe(true);
  guard.stop();
});

it('a block is one line in the log, however many attempts it meets', async () => {
  const { fail, guard, log } = process();
  await guess(fail, stranger(), 50);

  expect(log.lines.map(({ msg }) => msg)).toEqual(['too many failed logins: guesses are blocked']);
  guard.stop();
});

it('without Redis the process counts by itself', async () => {
  const away = connectRedis({ url: 'unix:/nowhere/redis.sock', commandTimeoutSeconds: 1 }, 'away', new TestLog().log);
  const { fail, guard } = process(away);
  const answers = await guess(fail, stranger(), 7);
  away.disconnect();

  expect(answers.filter(Boolean)).toHaveLength(1);
  expect(answers[6]).toMatchObject({ reason: 'too-many-failed-logins' });
  guard.stop();
});

it('the operator sees what is blocked, and clears it; no credentials are in Redis', async () => {
  const { fail, guard } = process();
  const from = stranger();
  const count = new FailureCount(commands, SETTINGS);
  await guess(fail, from, 7);

  expect(await count.blocks(clock.now())).toContainEqual({ client: from, blockedUntil: clock.now() + 30_000 });
  expect(await count.blockedUntil(clientNetworks(from), clock.now())).toBe(clock.now() + 30_000);
  expect(await count.clear(clientNetworks(from))).toBe(true);
  expect((await count.blocks(clock.now())).map(({ client }) => client)).not.toContain(from);
  clock.at += 5001;
  expect(await fail(from, 'a new guess')).toBeUndefined();
  guard.stop();
});
