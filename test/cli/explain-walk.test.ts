// Every rule of the walk refuses in its turn, in the words of the table of refusals, and the first one is told.
import { Allowances } from '../../src/admit/allowance.js';
import { Policy } from '../../src/admit/policy.js';
import { systemRandom } from '../../src/base/ids.js';
import { connectRedis, whenReady, type RedisClient } from '../../src/base/redis.js';
import { walk, type Attempt, type Rules, type Step } from '../../src/cli/explain-walk.js';
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { mint } from '../../src/keys/mint.js';
import { addressMatches, type Restrictions } from '../../src/keys/policy.js';
import { currentSecret, KeyVerifier } from '../../src/keys/verify.js';
import { parseAddress, type Address } from '../../src/message/address.js';
import { refusals, type Reason } from '../../src/message/refusal.js';
import { TestClock } from '../support/clock.js';
import { TestLog } from '../support/log.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { PATIENCE_MS } from '../support/until.js';

const SECRETS = { prefix: 'SG', pepper: 'p'.repeat(32), maxKeys: 1000 };
const LIMITS = { maxMessageBytes: 10_000, maxRecipients: 100 };
const CLIENT = { address: '192.0.2.7', secure: true };
const clock = new TestClock();
let redis: TestRedis;
let commands: RedisClient;
let store: KeyEditor;
let verifier: KeyVerifier;
let rules: Rules;

beforeAll(async () => {
  redis = await startRedis();
  commands = connectRedis({ url: redis.url, commandTimeoutSeconds: 5 }, 'commands', new TestLog().log);
  await whenReady(commands, PATIENCE_MS);
  store = new KeyEditor(commands, new AuditLog(commands, { ...SECRETS, maxEntries: 1000 }, clock), 'test');
  verifier = new KeyVerifier({ find: (id) => store.find(id), cached: () => undefined }, SECRETS, clock);
  rules = {
    policy: new Policy(addressMatches, LIMITS),
    allowances: new Allowances(commands, clock),
    blockedMs: () => Promise.resolve(0),
    allowInsecureAuth: 'always',
  };
});
afterAll(async () => {
  commands.disconnect();
  await redis.stop();
});

const make = (restrictions: Restrictions = {}, scopes: string[] = []) =>
  mint(store, SECRETS, { clock, random: systemRandom }, { name: 'test', restrictions, scopes });

function address(text: string): Address {
  const verdict = parseAddress(text, true);
  if (!verdict.ok) throw new Error(verdict.fault);
  return verdict.address;
}

async function explain(key: string, attempt: Partial<Attempt> = {}, own: Partial<Rules> = {}): Promise<Step[]> {
  const client = attempt.client ?? CLIENT;
  const verdict = await verifier.verify(key, client.address);
  return walk({ ...rules, ...own }, { client, verdict, headerFrom: [], to: [], ...attempt });
}

/** Stage, rule and reason of every step that refuses. */
const refusing = (steps: Step[]): [string, string, Reason][] =>
  steps.flatMap(({ stage, rule, refusal }) =>
    refusal ? [[stage, rule, refusal.reason] as [string, string, Reason]] : [],
  );

/** A key of the right shape that is not in the store. */
async function strange(): Promise<string> {
  const { text, record } = await make();
  await commands.del(`postern:{keys}:key:${record.id}`);
  return text;
}

async function revoked(): Promise<string> {
  const { text, record } = await make();
  await store.update(record.id, { revokedAt: clock.now() });
  return text;
}

const restricted = async (restrictions: Restrictions): Promise<string> => (await make(restrictions)).text;
const NOW_SECONDS = clock.now() / 1000;
const ONE = address('one@example.org');
const TWO = address('two@example.org');

test('every rule allows what it should, in the order of a session', async () => {
  const all = { from: ['example.com'], to: ['example.org'], ips: ['192.0.2.0/24'], expires_at: NOW_SECONDS + 60 };
  const key = await restricted({ ...all, rate: { messages: 1, seconds: 60 }, max_bytes: 100, require_tls: true });
  const from = address('app@example.com');

  const steps = await explain(key, { from, headerFrom: ['App <app@example.com>'], to: [ONE, TWO], size: 100 });

  expect(steps.map(({ outcome }) => outcome)).toEqual(steps.map(() => 'allows'));
  expect(steps.map(({ stage, rule }) => `${stage}: ${rule}`)).toEqual([
    ...['AUTH: smtp.allowInsecureAuth', 'AUTH: login guard', 'AUTH: known key', 'AUTH: not revoked'],
    ...['AUTH: not expired', 'AUTH: client address', 'AUTH: scope', 'AUTH: TLS'],
    ...['MAIL: size', 'MAIL: sender', 'MAIL: rate and quota'],
    ...['RCPT: recipient', 'RCPT: recipient', 'RCPT: number of recipients'],
    ...['DATA: header From', 'end of data: size'],
  ]);
});

test.each<[string, () => Promise<string> | string, Partial<Attempt>, [string, string, Reason][]]>([
  ['no key at all', () => 'nonsense', {}, [['AUTH', 'known key', 'bad-credentials']]],
  ['an unknown key', strange, {}, [['AUTH', 'known key', 'bad-key']]],
  ['a revoked key', revoked, {}, [['AUTH', 'not revoked', 'bad-key']]],
  ['a key that has expired', () => restricted({ expires_at: NOW_SECONDS }), {}, [['AUTH', 'not expired', 'bad-key']]],
  ['a foreign client', () => restricted({ ips: ['10.0.0.0/8'] }), {}, [['AUTH', 'client address', 'bad-key']]],
  [
    'a key for something else',
    async () => (await make({}, ['stats.read'])).text,
    {},
    [['AUTH', 'scope', 'no-send-scope']],
  ],
  [
    'a key that wants TLS',
    () => restricted({ require_tls: true }),
    { client: { ...CLIENT, secure: false } },
    [['AUTH', 'TLS', 'tls-required']],
  ],
  [
    'a message that is too big, for the key or for all',
    () => restricted({ max_bytes: 20_000 }),
    { size: 10_001 },
    [
      ['MAIL', 'size', 'too-big'],
      ['end of data', 'size', 'too-big'],
    ],
  ],
  [
    'a sender, in the envelope and in the header',
    () => restricted({ from: ['example.com'] }),
    { from: address('app@example.net'), headerFrom: ['app@example.net'] },
    [
      ['MAIL', 'sender', 'sender-not-allowed'],
      ['DATA', 'header From', 'sender-not-allowed'],
    ],
  ],
  [
    'the null sender of a key that is bound',
    () => restricted({ from: ['example.com'] }),
    { from: '<>' },
    [['MAIL', 'sender', 'sender-not-allowed']],
  ],
  [
    'a From field that hides another address',
    () => restricted({ from: ['example.com'] }),
    { from: address('app@example.com'), headerFrom: ['boss@example.net <app@example.com>'] },
    [['DATA', 'header From', 'sender-not-allowed']],
  ],
  [
    'a recipient, and not the other one',
    () => restricted({ to: [ONE.text], max_recipients: 1 }),
    { to: [TWO, ONE] },
    [['RCPT', 'recipient', 'recipient-not-allowed']],
  ],
  [
    'the second recipient of a key for one',
    () => restricted({ max_recipients: 1 }),
    { to: [ONE, ONE, TWO] },
    [['RCPT', 'number of recipients', 'too-many-recipients']],
  ],
])('it refuses %s', async (_what, key, attempt, expected) => {
  const steps = await explain(await key(), attempt);

  expect(refusing(steps)).toEqual(expected);
  for (const { refusal } of steps) if (refusal) expect(refusal.row).toBe(refusals[refusal.reason]);
});

test.each([
  ['rate', 'rate-limited'],
  ['quota', 'quota-exhausted'],
] as const)('it refuses a key whose %s is used up, and uses none of it itself', async (kind, reason) => {
  const { text, record } = await make({ [kind]: { messages: 2, seconds: 60 } });
  const principalKey = { ...record, keyId: record.id, secret: currentSecret(record) };
  const allowances = new Allowances(commands, clock);
  const take = (messages: number) => allowances.take(principalKey, messages);

  await take(1);
  for (let at = 0; at < 5; at++) expect(refusing(await explain(text))).toEqual([]);
  await take(1);

  expect(refusing(await explain(text))).toEqual([['MAIL', 'rate and quota', reason]]);
});

test('behind a key that is refused, all that is wrong besides is told too, and what was not judged', async () => {
  const { text, record } = await make({ from: ['example.com'], expires_at: NOW_SECONDS });
  await store.update(record.id, { revokedAt: clock.now() });

  const steps = await explain(text, { from: address('app@example.net') });

  expect(refusing(steps).map(([, rule]) => rule)).toEqual(['not revoked', 'sender']);
  expect(steps.filter(({ outcome }) => outcome === 'not judged').map(({ rule }) => rule)).toEqual([
    ...['not expired', 'client address'],
  ]);
});

test.each([
  ['never', '127.0.0.1', false],
  ['loopback', '192.0.2.7', false],
  ['loopback', '127.0.0.1', true],
  ['always', '192.0.2.7', true],
] as const)('a login in the clear, with %s, from %s: %s', async (allowInsecureAuth, from, isTaken) => {
  const { text } = await make();
  const clear = { client: { address: from, secure: false } };

  const [first] = await explain(text, clear, { allowInsecureAuth });

  expect(first).toMatchObject({ stage: 'AUTH', outcome: isTaken ? 'allows' : 'refuses' });
  expect(first!.refusal?.reason).toBe(isTaken ? undefined : 'auth-needs-tls');
});

test('a blocked client reads that it is blocked in place of why its key is bad; a good key is let in', async () => {
  const isBlocked = { blockedMs: () => Promise.resolve(30_000) };

  const bad = await explain(await revoked(), {}, isBlocked);
  const good = await explain((await make()).text, {}, isBlocked);
  const noGuess = await explain((await make({}, ['stats.read'])).text, {}, isBlocked);

  expect(refusing(bad)).toEqual([['AUTH', 'not revoked', 'too-many-failed-logins']]);
  expect(bad.find(({ refusal }) => refusal)!.refusal!.text).toContain('30 seconds');
  expect(refusing(good)).toEqual([]);
  expect(good.find(({ rule }) => rule === 'login guard')!.why).toContain('30 seconds');
  expect(refusing(noGuess)).toEqual([['AUTH', 'scope', 'no-send-scope']]);
});
