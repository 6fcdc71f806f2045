// Refused logins in the audit log: a summary now and then, whatever is tried, and every verdict is counted.
import { AuditLog } from '../../src/keys/audit.js';
import { RefusedLogins } from '../../src/keys/refused-logins.js';
import { TestClock } from '../support/clock.js';
import { startRedis, type TestRedis } from '../support/redis.js';

const MINUTE = 60_000;

let redis: TestRedis;
let audit: AuditLog;
let refused: RefusedLogins;
const faults: unknown[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  await redis.client().flushall();
  audit = new AuditLog(redis.client(), { pepper: 'a pepper', maxEntries: 100 }, new TestClock());
  refused = new RefusedLogins(audit, (error) => faults.push(error));
});
afterEach(() => jest.useRealTimers());
afterAll(() => redis.stop());

test('an entry names how many there were, of what kind, on which keys and from where, the most first', async () => {
  for (let count = 0; count < 3; count++) refused.note('unknown', '192.0.2.1', undefined);
  refused.note('rotated', '192.0.2.2', 'key-one');
  refused.note('revoked', '192.0.2.2', 'key-two');
  refused.note('revoked', '192.0.2.2', 'key-two');
  refused.note('unavailable', '192.0.2.3', 'key-three');
  await refused.flush();
  expect(await audit.list(10)).toMatchObject([
    {
      ...{ actor: 'server', action: 'refused' },
      details: {
        ...{ total: 6, verdicts: { unknown: 3, rotated: 1, revoked: 2 } },
        keys: [
          { id: 'key-two', logins: 2 },
          { id: 'key-one', logins: 1 },
        ],
        addresses: [
          { address: '192.0.2.1', logins: 3 },
          { address: '192.0.2.2', logins: 3 },
        ],
      },
    },
  ]);
  expect(await audit.list(10, 'key-two')).toHaveLength(1);
  expect(await audit.list(10, 'key-three')).toEqual([]);
  await refused.flush();
  expect(await audit.list(10)).toHaveLength(1);
});

test('a million addresses are bounded in the entry, and the total is right', async () => {
  for (let count = 0; count < 1_000_000; count++) refused.note('unknown', `address ${count}`, undefined);
  await refused.stop();
  const [{ details } = { details: {} }] = await audit.list(10);
  expect(details).toMatchObject({ total: 1_000_000, verdicts: { unknown: 1_000_000 } });
  expect((details as { addresses: unknown[] }).addresses).toHaveLength(10);
});

test('whoever goes on gets fewer entries, up to one an hour, and quiet begins anew', () => {
  jest.useFakeTimers();
  const entries: number[] = [];
  const append = () => Promise.resolve(void entries.push(Date.now() / MINUTE));
  const counted = new RefusedLogins({ append }, () => {});
  const began = Date.now() / MINUTE;
  for (let minute = 0; minute < 300; minute++) {
    counted.note('unknown', '192.0.2.1', undefined);
    jest.advanceTimersByTime(MINUTE);
  }
  const gaps = entries.map((at, index) => Math.round(at - (entries[index - 1] ?? began)));
  expect(gaps).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  jest.advanceTimersByTime(3 * 60 * MINUTE);
  counted.note('unknown', '192.0.2.1', undefined);
  const before = entries.length;
  jest.advanceTimersByTime(MINUTE);
  expect(entries).toHaveLength(before + 1);
});

test('a store that is away costs the entry and nothing else', async () => {
  const client = redis.client({ lazyConnect: true, enableOfflineQueue: false });
  const lost = new RefusedLogins(
    new AuditLog(client, { pepper: 'a pepper', maxEntries: 100 }, new TestClock()),
    (error) => faults.push(error),
  );
  lost.note('unknown', '192.0.2.1', undefined);
  await lost.stop();
  expect(faults).toHaveLength(1);
});
