// The two secrets of a key that was rotated, on a clock that a test moves: the old one is good until its time to the
// millisecond, for a login and for whoever is logged in.
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { mint } from '../../src/keys/mint.js';
import { rotate } from '../../src/keys/rotate.js';
import { KeyVerifier, secretMark } from '../../src/keys/verify.js';
import { hashKey } from '../../src/keys/pepper.js';
import { systemRandom } from '../../src/base/ids.js';
import { TestClock } from '../support/clock.js';
import { startRedis, type TestRedis } from '../support/redis.js';

const SETTINGS = { prefix: 'SG', pepper: 'the pepper of these tests is long enough', maxKeys: 100 };
const HOUR = 3_600_000;
const HERE = '127.0.0.1';

let redis: TestRedis;
let keys: KeyEditor;
let clock: TestClock;
let verifier: KeyVerifier;
let id: string;
let old: string;

beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  const client = redis.client();
  clock = new TestClock();
  keys = new KeyEditor(client, new AuditLog(client, { ...SETTINGS, maxEntries: 100 }, clock), 'test');
  // Nothing is remembered: every question is one to Redis.
  verifier = new KeyVerifier({ find: (each) => keys.find(each), cached: () => undefined }, SETTINGS, clock);
  const made = await mint(keys, SETTINGS, { clock, random: systemRandom }, { name: 'test' });
  [id, old] = [made.record.id, made.text];
});
afterAll(() => redis.stop());

const renew = (overlapSeconds: number) => rotate(keys, SETTINGS, { clock, random: systemRandom }, id, overlapSeconds);

/** The verdicts on a secret at a login, and in a session that began with it. */
async function verdicts(text: string): Promise<string[]> {
  const mark = secretMark(hashKey(SETTINGS.pepper, text));
  const found = [await verifier.verify(text, HERE), await verifier.recheck(id, mark, HERE)];
  return found.map((verdict) => (verdict.kind === 'valid' ? (verdict.secret.isOld ? 'old' : 'current') : verdict.kind));
}

test('the old secret is good until its time and not after, the new one throughout', async () => {
  const { text } = await renew(3600);
  expect([await verdicts(old), await verdicts(text)]).toEqual([
    ['old', 'old'],
    ['current', 'current'],
  ]);
  clock.advance(HOUR - 1);
  expect([await verdicts(old), await verdicts(text)]).toEqual([
    ['old', 'old'],
    ['current', 'current'],
  ]);
  clock.advance(1);
  expect([await verdicts(old), await verdicts(text)]).toEqual([
    ['rotated', 'rotated'],
    ['current', 'current'],
  ]);
});

test('without an overlap the old secret ends at once', async () => {
  await renew(0);
  expect(await verdicts(old)).toEqual(['rotated', 'rotated']);
});

test('a second rotation ends the first secret for good, and gives the second a time of its own', async () => {
  const { text: second, endedOlder } = await renew(3600);
  clock.advance(HOUR / 2);
  const { text: third, endedOlder: ended } = await renew(3600);
  expect([endedOlder, ended]).toEqual([false, true]);
  // Nothing is known of a secret that was replaced twice; a session that began with it knows that it was one.
  expect(await verdicts(old)).toEqual(['unknown', 'rotated']);
  clock.advance(HOUR - 1);
  expect([await verdicts(second), await verdicts(third)]).toEqual([
    ['old', 'old'],
    ['current', 'current'],
  ]);
  clock.advance(1);
  expect([await verdicts(second), await verdicts(third)]).toEqual([
    ['rotated', 'rotated'],
    ['current', 'current'],
  ]);
});

test('revocation and expiry end both secrets', async () => {
  const { text } = await renew(3600);
  await keys.update(id, { restrictions: { expires_at: clock.now() / 1000 + 60 } });
  clock.advance(60_000);
  expect([await verdicts(old), await verdicts(text)]).toEqual([
    ['expired', 'expired'],
    ['expired', 'expired'],
  ]);
  await keys.update(id, { revokedAt: clock.now() });
  expect([await verdicts(old), await verdicts(text)]).toEqual([
    ['revoked', 'revoked'],
    ['revoked', 'revoked'],
  ]);
});
