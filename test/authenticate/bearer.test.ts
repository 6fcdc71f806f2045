// Who may call over HTTP, and in which words the others are refused.
import { Authenticator } from '../../src/authenticate/authenticator.js';
import { HttpGate } from '../../src/authenticate/bearer.js';
import { RequestRate } from '../../src/authenticate/request-rate.js';
import { Allowances } from '../../src/admit/allowance.js';
import { systemClock } from '../../src/base/clock.js';
import { makeHttpServer, openHttp, type HttpServer } from '../../src/base/http-server.js';
import { systemRandom } from '../../src/base/ids.js';
import { connectRedis, whenReady, type RedisClient } from '../../src/base/redis.js';
import { KeyDirectory } from '../../src/keys/directory.js';
import { mint, type MintRequest } from '../../src/keys/mint.js';
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { KeyUsage } from '../../src/keys/usage.js';
import { KeyVerifier } from '../../src/keys/verify.js';
import { refuse, type Refusal } from '../../src/message/refusal.js';
import { ask } from '../support/contract.js';
import { TestLog } from '../support/log.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { PATIENCE_MS } from '../support/until.js';

const SECRETS = { prefix: 'SG', pepper: 'p'.repeat(32), maxKeys: 1000 };
const MAX_PER_MINUTE = 40;
const verdicts: string[] = [];
/** Whether the last attempt was worth a line in the log. */
let wasNews: boolean;
/** The word of the guard about failed logins. */
let guardSays: Refusal | undefined;
let redis: TestRedis;
let commands: RedisClient;
let channel: RedisClient;
let store: KeyEditor;
let allowances: Allowances;
let directory: KeyDirectory;
let server: HttpServer;
let base: string;

beforeAll(async () => {
  redis = await startRedis();
  const { log } = new TestLog();
  const settings = { url: redis.url, commandTimeoutSeconds: 5 };
  commands = connectRedis(settings, 'commands', log);
  channel = connectRedis(settings, 'keys', log, true);
  await Promise.all([whenReady(commands, PATIENCE_MS), whenReady(channel, PATIENCE_MS)]);
  store = new KeyEditor(commands, new AuditLog(commands, { ...SECRETS, maxEntries: 1000 }, systemClock), 'test');
  allowances = new Allowances(commands, systemClock);
  directory = new KeyDirectory(store, channel, systemClock, log);
  directory.start();
  const authenticator = new Authenticator(
    new KeyVerifier(directory, SECRETS, systemClock),
    new KeyUsage(store, systemClock),
    { mayLookUp: () => true, failed: () => Promise.resolve(guardSays) },
  );
  server = await makeHttpServer({ trustedProxies: ['127.0.0.1'] }, log);
  const gate = new HttpGate({
    ...{ authenticator, requests: new RequestRate(MAX_PER_MINUTE, systemClock) },
    messageRate: (principal) => allowances.view(principal),
    onLogin: (verdict, _client, _key, isNews) => {
      verdicts.push(verdict);
      wasNews = isNews;
    },
  });
  gate.install(server);
  const who = (request: Parameters<HttpGate['principal']>[0]) => ({ id: gate.principal(request).keyId });
  server.get('/v3/any', { onRequest: gate.guard(undefined) }, who);
  server.get('/v3/managed', { onRequest: gate.guard('stats.read') }, who);
  server.post('/v3/mail', { onRequest: gate.guard('mail.send', 'mail') }, who);
  base = `http://127.0.0.1:${await openHttp(server, '127.0.0.1', 0)}`;
});
afterAll(async () => {
  await server.close();
  directory.stop();
  commands.disconnect();
  channel.disconnect();
  await redis.stop();
});

async function key(request: Partial<MintRequest> = {}): Promise<{ key: string; id: string }> {
  const { text, record } = await mint(
    store,
    SECRETS,
    { clock: systemClock, random: systemRandom },
    {
      ...{ name: 'test', ...request },
    },
  );
  return { key: text, id: record.id };
}

const CALLS = { managed: ['GET', '/v3/managed'], mail: ['POST', '/v3/mail'], any: ['GET', '/v3/any'] } as const;
let clients = 0;
/** Every call comes from another client, unless it says from which. */
function call(name: keyof typeof CALLS, authorization?: string, headers: Record<string, string> = {}) {
  const [method, path] = CALLS[name];
  const client = `203.0.113.${++clients % 250}`;
  return ask(base, path, {
    method,
    headers: { 'x-forwarded-for': client, ...(authorization !== undefined && { authorization }), ...headers },
  });
}
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

const REQUIRED = '{"errors":[{"field":null,"message":"authorization required"}]}';
const FORBIDDEN = '{"errors":[{"field":null,"message":"access forbidden"}]}';
const mailError = (message: string): string => `{"errors":[{"message":"${message}","field":null,"help":null}]}`;
const WRONG = mailError('Permission denied, wrong credentials');
const INVALID = mailError('The provided authorization grant is invalid, expired, or revoked');
const NOT_MAIL = mailError('Authenticated user is not authorized to send mail');

it.each([
  ['Bearer', (text: string) => `Bearer ${text}`],
  ['bearer, and blanks', (text: string) => `bearer   ${text} `],
  ['Basic', (text: string) => basic(`apikey:${text}`)],
])('takes a key as %s', async (_what, header) => {
  const made = await key();
  for (const name of ['managed', 'mail', 'any'] as const) {
    expect(await call(name, header(made.key))).toMatchObject({ status: 200, json: { id: made.id } });
  }
});

it.each([
  ['nothing', undefined],
  ['an empty header', ''],
  ['Bearer alone', 'Bearer '],
  ['another scheme', 'Digest username="apikey"'],
  ['Basic of another user', basic('somebody:secret')],
  ['Basic without a password', basic('apikey')],
  ['Basic of nonsense', 'Basic %%%'],
])('refuses %s as no credentials', async (_what, header) => {
  const managed = await call('managed', header);
  expect(managed).toMatchObject({
    status: 401,
    headers: { 'www-authenticate': expect.stringMatching(/^Bearer/) as string },
  });
  const mail = await call('mail', header);

  // `apikey` with an empty password is a key that is not one, all others are no key.
  expect(managed.text).toBe(REQUIRED);
  expect([WRONG, INVALID]).toContain(mail.text);
  expect(mail.status).toBe(401);
});

it('refuses a malformed, an unknown, a revoked and an expired key alike', async () => {
  const unknown = await key();
  await commands.del(`postern:{keys}:key:${unknown.id}`);
  const revoked = await key();
  await store.update(revoked.id, { revokedAt: 1 });
  const expired = await key({ restrictions: { expires_at: 1 } });
  for (const each of ['SG.x.y', `${unknown.key}x`, unknown.key, revoked.key, expired.key]) {
    expect(await call('managed', `Bearer ${each}`)).toMatchObject({ status: 401, text: REQUIRED });
    expect(await call('any', `Bearer ${each}`)).toMatchObject({ status: 401, text: REQUIRED });
    expect(await call('mail', `Bearer ${each}`)).toMatchObject({ status: 401, text: INVALID });
  }
});

it('refuses a key without the scope, to send with 401 and for all else with 403', async () => {
  const made = await key({ scopes: ['api_keys.read'] });

  expect(await call('managed', `Bearer ${made.key}`)).toMatchObject({ status: 403, text: FORBIDDEN });
  expect(FORBIDDEN).toHaveLength(56);
  expect(await call('mail', `Bearer ${made.key}`)).toMatchObject({ status: 401, text: NOT_MAIL });
  expect((await call('any', `Bearer ${made.key}`)).status).toBe(200);
});

it('holds a key to its networks, as the trusted proxy tells the client', async () => {
  const made = await key({ restrictions: { ips: ['192.0.2.0/24'] } });
  const from = (client: string) => call('mail', `Bearer ${made.key}`, { 'x-forwarded-for': client });

  expect((await from('192.0.2.7')).status).toBe(200);
  expect(await from('198.51.100.7')).toMatchObject({ status: 403, text: FORBIDDEN });
  // What a client writes in front of the proxy's own word is not believed.
  expect((await from('192.0.2.7, 198.51.100.7')).status).toBe(403);
});

it('holds a key to TLS, as the trusted proxy tells the scheme', async () => {
  const made = await key({ restrictions: { require_tls: true } });

  const clear = await call('managed', `Bearer ${made.key}`);
  expect(clear).toMatchObject({ status: 403, json: { errors: [{ message: 'this key requires TLS: use https' }] } });
  expect((await call('managed', `Bearer ${made.key}`, { 'x-forwarded-proto': 'https' })).status).toBe(200);
});

it('takes no key from the URL', async () => {
  const { key: text } = await key();
  for (const query of [`api_key=${text}`, `key=${text}`, `access_token=${text}`, `authorization=Bearer%20${text}`]) {
    expect((await ask(base, `/v3/managed?${query}`)).status).toBe(401);
  }
});

it('tells every caller under /v3 how often it may call, and stops whoever calls more often', async () => {
  const made = await key();
  const known = { authorization: `Bearer ${made.key}`, 'x-forwarded-for': '203.0.113.251' };
  const first = await ask(base, '/v3/any', { headers: known });
  const now = Date.now() / 1000;

  expect(first.headers).toMatchObject({ 'x-ratelimit-limit': '40', 'x-ratelimit-remaining': '39' });
  expect(Number(first.headers['x-ratelimit-reset'])).toBeGreaterThan(now - 1);
  expect(Number(first.headers['x-ratelimit-reset'])).toBeLessThanOrEqual(now + 60);
  for (const path of ['/v3/nothing', '/v3/mail', '/v3/managed']) {
    const { headers } = await ask(base, path, { headers: { 'x-forwarded-for': '203.0.113.252' } });
    expect(headers['x-ratelimit-limit']).toBe('40');
  }
  const last = { status: 0, text: '' };
  for (let calls = 0; calls < 2 * MAX_PER_MINUTE + 2 && last.status !== 429; calls++) {
    Object.assign(last, await ask(base, '/v3/any', { headers: known }));
  }
  expect(last).toMatchObject({ status: 429, text: '{"errors":[{"field":null,"message":"too many requests"}]}' });
  expect(last).toMatchObject({ headers: { 'x-ratelimit-remaining': '0' } });
});

it('limits a client that guesses keys by its address', async () => {
  const headers = { authorization: 'Bearer SG.a.b', 'x-forwarded-for': '203.0.113.253' };
  const statuses = new Set<number>();
  for (let calls = 0; calls < 2 * MAX_PER_MINUTE + 2; calls++)
    statuses.add((await ask(base, '/v3/any', { headers })).status);

  expect([...statuses]).toEqual(expect.arrayContaining([401, 429]));
});

it('tells a key with a rate of its own what is left of it', async () => {
  const made = await key({ restrictions: { rate: { messages: 3, seconds: 3600 } } });
  const left = async () => (await call('mail', `Bearer ${made.key}`)).headers;

  expect(await left()).toMatchObject({ 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '3' });
  const secret = { mark: '', isOld: false };
  const principal = { keyId: made.id, secret, scopes: [], restrictions: { rate: { messages: 3, seconds: 3600 } } };
  await allowances.take(principal);
  expect(await left()).toMatchObject({ 'x-ratelimit-remaining': '2' });
  await allowances.take(principal);
  await allowances.take(principal);
  const used = await left();
  expect(used).toMatchObject({ 'x-ratelimit-remaining': '0' });
  // In 20 minutes there is room for one more.
  const waitSeconds = Number(used['x-ratelimit-reset']) - Date.now() / 1000;
  expect(waitSeconds).toBeGreaterThan(1100);
  expect(waitSeconds).toBeLessThan(1202);
});

it('is away, not denied, while keys cannot be checked', async () => {
  const { key: text } = await key();
  await redis.kill();
  const answers = await Promise.all([call('managed', `Bearer ${text}`), call('mail', `Bearer ${text}`)]);
  await redis.start();

  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 503, json: { errors: [{ message: 'service unavailable' }] } });
    expect(answer.headers).toHaveProperty('x-ratelimit-reset');
  }
});

it('counts every attempt by its verdict', () => {
  expect(new Set(verdicts)).toEqual(
    new Set([
      ...[
        'valid',
        'malformed',
        'unknown',
        'revoked',
        'expired',
        'denied-ip',
        'no-scope',
        'tls-required',
        'unavailable',
      ],
    ]),
  );
});

it('a client that is blocked reads 429 and when to come again, in the words of the route', async () => {
  guardSays = refuse('too-many-failed-logins', { seconds: 42 });
  const [any, mail] = [await call('any', 'Bearer nothing'), await call('mail', 'Bearer nothing')];
  guardSays = undefined;

  expect(wasNews).toBe(false);
  await call('any', 'Bearer nothing');
  expect(wasNews).toBe(true);
  expect(any.status).toBe(429);
  expect(any.headers['retry-after']).toBe('42');
  expect(mail.status).toBe(429);
  expect(mail.json).toMatchObject({
    errors: [{ help: null, message: expect.stringContaining('42 seconds') as string }],
  });
});
