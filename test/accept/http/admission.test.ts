// The calls that send mail lead into the same funnel as SMTP: the same restrictions, limits and store, and all of a
// request or nothing. And what clients in other languages do is taken as they mean it.
import { call, kept, mail, sendJson, type HttpAnswer, type Json } from '../../support/http-send.js';
import { ask } from '../../support/contract.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({
    roles: ['accept'],
    env: { POSTERN_SMTP_MAX_MESSAGE_BYTES: '700000', POSTERN_SMTP_MAX_BUFFERED_BYTES: '1150000' },
  });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

const send = (apiKey: string | undefined, body: unknown = mail()): Promise<HttpAnswer> =>
  call(worker, '/v3/mail/send', { ...(apiKey ? { key: apiKey } : {}), body });
const messageOf = ({ status, json }: HttpAnswer) => [
  status,
  (json as { errors: { message: string }[] }).errors[0]!.message,
];
const count = async () => (await worker.desk.list(1000)).length;
const people = (...addresses: string[]): Json => ({
  personalizations: addresses.map((email) => ({ to: [{ email }] })),
});
const withKey = async (restrictions: Json, body: unknown) => {
  const minted = await worker.mint({ restrictions });
  return send(minted.key, body);
};

it('asks for a key that may send, before it reads the body', async () => {
  const { key: other } = await worker.mint({ scopes: ['stats.read'] });

  expect(messageOf(await send(undefined, '{'))).toEqual([401, 'Permission denied, wrong credentials']);
  expect(messageOf(await send('wrong', '{'))).toEqual([
    401,
    'The provided authorization grant is invalid, expired, or revoked',
  ]);
  expect(messageOf(await send(other, '{'))).toEqual([401, 'Authenticated user is not authorized to send mail']);
});

it('holds a key to its restrictions, and keeps nothing of a request of which one message is refused', async () => {
  const before = await count();
  const to = await withKey({ to: ['example.com'] }, mail(people('a@example.com', 'b@example.com', 'c@example.org')));
  const from = await withKey({ from: ['other@example.com'] }, mail());
  const size = await withKey({ max_bytes: 2000 }, mail({ content: [{ type: 'text/plain', value: 'x'.repeat(3000) }] }));

  expect(messageOf(to)).toEqual([403, 'This key may not send to c@example.org']);
  expect([from.status, from.json]).toMatchObject([
    403,
    {
      errors: [
        {
          field: 'from',
          message:
            'The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender Identity requirements',
          help: null,
        },
        { field: 'from', message: 'This key may not send as app@example.com' },
      ],
    },
  ]);
  expect(messageOf(size)).toEqual([413, 'content too large']);
  expect(await count()).toBe(before);
  expect(await worker.redis.client().keys('postern:{s0}:b:*')).toHaveLength(before);
});

it('counts every message of a request against the rate, and takes none when there is no room for all', async () => {
  const { key: limited } = await worker.mint({ restrictions: { rate: { messages: 3, seconds: 3600 } } });
  const two = mail(people('a@example.com', 'b@example.com'));

  expect((await send(limited, two)).status).toBe(202);
  const refused = await send(limited, two);
  expect(messageOf(refused)).toEqual([429, 'too many requests']);
  expect(Number(refused.headers.get('x-ratelimit-reset'))).toBeGreaterThan(Date.now() / 1000);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await send(limited)).status).toBe(202);
});

it('answers a quota that is used up as SendGrid does, with the time to wait', async () => {
  const { key: limited } = await worker.mint({ restrictions: { quota: { messages: 1, seconds: 3600 } } });
  expect((await send(limited)).status).toBe(202);
  const refused = await send(limited);

  expect(messageOf(refused)).toEqual([401, 'Maximum credits exceeded']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3000);
  expect(Number(refused.headers.get('x-ratelimit-reset'))).toBeGreaterThan(Date.now() / 1000 + 3000);
});

it('puts all messages of a large request, with bodies in pieces, in one step', async () => {
  const addresses = Array.from({ length: 8 }, (_none, at) => `n${at}@example.com`);
  const value = 'a line of text\n'.repeat(20_000);
  const before = await count();
  await sendJson(worker, key, mail({ ...people(...addresses), content: [{ type: 'text/plain', value }] }));

  const messages = (await worker.desk.list(1000)).slice(0, -before || undefined);
  expect(messages.map(({ record }) => record.envelope.to[0]).sort()).toEqual(addresses);
  expect((await kept(worker, messages[3]!.record.id)).parsed.text!.length).toBe(value.length);
});

it('refuses what is larger than a message may be, and what its memory has no room for now', async () => {
  const large = (size: number) => JSON.stringify(mail({ content: [{ type: 'text/plain', value: 'x'.repeat(size) }] }));
  expect(messageOf(await send(key, large(800_000)))).toEqual([413, 'content too large']);
  expect(messageOf(await send(key, large(600_000)))).toEqual([503, 'Insufficient system storage, try again later']);
  expect((await send(key, large(250_000))).status).toBe(202);
});

it('answers 503 while Redis is away, and takes mail again afterwards', async () => {
  const away = await startTestWorker({ roles: ['accept'] });
  const minted = await away.mint();
  expect((await call(away, '/v3/mail/send', { key: minted.key, body: mail() })).status).toBe(202);
  await away.redis.kill();
  const refused = await call(away, '/v3/mail/send', { key: minted.key, body: mail() });
  await away.stop();

  expect(refused.status).toBe(503);
  expect(refused.text).not.toMatch(/redis|ECONN/i);
});

describe('the habits of other languages', () => {
  it.each<[string, { path?: string; headers?: Record<string, string> }]>([
    ['Java: a slash too many', { path: '/v3//mail/send' }],
    ['a path with a slash at its end', { path: '/v3/mail/send/' }],
    ['a host with a slash at its end', { path: '//v3/mail/send' }],
    ['C#: JSON without a charset', { headers: { 'Content-Type': 'application/json' } }],
    ['Python: an Accept of anything', { headers: { Accept: '*/*', 'User-Agent': 'sendgrid/6;python' } }],
    ['PHP: Expect', { headers: { Expect: '100-continue' } }],
    ['a charset', { headers: { 'Content-Type': 'application/json; charset=UTF-8' } }],
  ])('%s', async (_name, { path = '/v3/mail/send', headers = {} }) => {
    const answer = await ask(worker.httpUrl, path, {
      ...{ method: 'POST', key, body: mail() },
      headers: { 'content-type': 'application/json', ...headers },
    });

    expect(answer.status).toBe(202);
    expect(Number(answer.headers['x-ratelimit-reset'])).toBeGreaterThan(1_600_000_000);
  });

  it('curl -u apikey:KEY', async () => {
    const headers = { Authorization: `Basic ${Buffer.from(`apikey:${key}`).toString('base64')}` };

    expect((await call(worker, '/v3/mail/send', { body: mail(), headers })).status).toBe(202);
  });
});

it('never writes a key to its log', () => {
  expect(JSON.stringify(worker.log.lines)).not.toContain(key.split('.')[2]);
});
