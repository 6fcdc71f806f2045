// A key never exceeds the key that made or changed it, over HTTP.
import type { Restrictions } from '../../src/keys/policy.js';
import { asker, type Ask } from '../support/contract.js';
import { KeyCalls, KEYS, shown } from '../support/key-calls.js';
import { until } from '../support/until.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

const MANAGE = ['api_keys.create', 'api_keys.read', 'api_keys.update', 'api_keys.delete'];

let worker: TestWorker;
let ask: Ask;
let calls: KeyCalls;

beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'], env: { POSTERN_KEYS_MAX_KEYS: '1000' } });
  ask = asker(worker.httpUrl);
  calls = new KeyCalls(ask, (await worker.mint({ name: 'owner' })).key);
});
afterAll(() => worker.stop());

describe('a key that makes keys', () => {
  const bounds: Restrictions = {
    ...{ from: ['example.com', 'a@example.org'], ips: ['127.0.0.0/8'], max_bytes: 1000, max_recipients: 5 },
    ...{ rate: { messages: 100, seconds: 60 }, quota: { messages: 1000, seconds: 3600 }, expires_at: 4_000_000_000 },
  };
  const scopes = [...MANAGE, 'mail.send', 'stats.read'];
  const narrow = () => worker.mint({ scopes, restrictions: bounds });

  it('hands on its scopes and its restrictions when nothing is asked for', async () => {
    const made = shown(await calls.post({ name: 'child' }, (await narrow()).key));
    expect([...made.scopes].sort()).toEqual([...scopes].sort());
    expect(made.restrictions).toEqual(bounds);
  });

  it.each<[string, Restrictions]>([
    ['another sender domain', { from: ['example.net'] }],
    ['another sender', { from: ['b@example.org'] }],
    ['the whole domain of one sender', { from: ['example.org'] }],
    ['a larger network', { ips: ['126.0.0.0/7'] }],
    ['an IPv6 network', { ips: ['::1/128'] }],
    ['larger messages', { max_bytes: 1001 }],
    ['more recipients', { max_recipients: 6 }],
    ['a higher rate', { rate: { messages: 101, seconds: 60 } }],
    ['a rate over a shorter time', { rate: { messages: 100, seconds: 59 } }],
    ['the same rate with a larger burst', { rate: { messages: 6000, seconds: 3600 } }],
    ['a higher quota', { quota: { messages: 1001, seconds: 3600 } }],
    ['a later end', { expires_at: 4_000_000_001 }],
  ])('cannot give, nor change a key to, %s', async (_what, wider) => {
    const { key, id } = await narrow();
    const child = shown(await calls.post({ name: 'child', scopes: ['mail.send'] }, key)).api_key_id;
    const other = (await worker.mint({ scopes: ['mail.send'], restrictions: { ...bounds, to: ['x.example'] } })).id;
    const field = expect.stringMatching(`^restrictions\\.${Object.keys(wider)[0]}`) as string;
    const refused = { status: 400, json: { errors: [{ field }] } };

    expect(await calls.post({ name: 'x', restrictions: wider }, key)).toMatchObject(refused);
    for (const target of [child, other, id]) {
      expect(await calls.put(target, { name: 'x', restrictions: wider }, key)).toMatchObject(refused);
    }
    expect((await worker.keys.find(child))?.restrictions).toEqual(bounds);
  });

  it.each<Restrictions>([
    { from: ['EXAMPLE.com'] },
    { from: ['x@example.com', 'a@example.org'] },
    { from: [] },
    { ips: ['127.0.0.0/8', '127.1.2.3/32'] },
    { rate: { messages: 50, seconds: 60 } },
    { rate: { messages: 100, seconds: 3600 } },
    { expires_at: 3_999_999_999 },
    { max_bytes: 1, max_recipients: 1, to: ['example.com'], require_tls: true },
  ])('can give %j, and its own bounds for the rest', async (restrictions) => {
    const made = await calls.post({ name: 'x', scopes: ['mail.send'], restrictions }, (await narrow()).key);
    expect(made).toMatchObject({ status: 201, json: { restrictions: { ...bounds, ...restrictions } } });
  });

  it('that requires TLS makes keys that do', async () => {
    const secured = await startTestWorker({
      ...{ roles: ['accept'], redis: worker.redis, env: { POSTERN_HTTP_TRUSTED_PROXIES: '127.0.0.1' } },
    });
    const { key } = await worker.mint({ restrictions: { require_tls: true } });
    const make = (restrictions?: object) =>
      asker(secured.httpUrl)(KEYS, {
        ...{ method: 'POST', key, headers: { 'x-forwarded-proto': 'https' }, body: { name: 'x', restrictions } },
      });
    try {
      expect(await make()).toMatchObject({ status: 201, json: { restrictions: { require_tls: true } } });
      expect(await make({ require_tls: false })).toMatchObject({
        status: 201,
        json: { restrictions: { require_tls: true } },
      });
      expect((await calls.post({ name: 'x' }, key)).status).toBe(403);
    } finally {
      await secured.stop();
    }
  });

  it('cannot give a scope that it does not hold, nor lift what it is bound by from itself', async () => {
    const { key, id } = await narrow();
    const beyond = await calls.post({ name: 'x', scopes: ['mail.send', 'templates.read'] }, key);
    expect(beyond).toMatchObject({
      status: 400,
      json: { errors: [{}, { message: 'the key that asks does not hold templates.read' }] },
    });
    expect(await calls.put(id, { name: 'me', scopes: [...scopes, 'templates.read'] }, key)).toMatchObject({
      status: 400,
    });
    const lifted = await calls.put(id, { name: 'me', restrictions: {} }, key);
    expect(lifted).toMatchObject({ status: 200, json: { restrictions: bounds } });
  });

  it('may narrow any key, and widen none', async () => {
    const { key } = await narrow();
    const wide = await worker.mint({ scopes: ['mail.send', 'templates.read'] });
    expect((await calls.patch(wide.id, { name: 'renamed' }, key)).status).toBe(200);
    expect((await calls.put(wide.id, { name: 'same' }, key)).status).toBe(200);
    expect(await calls.put(wide.id, { name: 'less', scopes: ['templates.read'] }, key)).toMatchObject({ status: 200 });
    expect(await calls.put(wide.id, { name: 'more', scopes: ['templates.read', 'mail.send'] }, key)).toMatchObject({
      status: 400,
    });
    expect(await calls.put(wide.id, { name: 'other', scopes: ['mail.send'] }, key)).toMatchObject({ status: 400 });
    expect(await worker.keys.find(wide.id)).toMatchObject({ scopes: ['templates.read'], restrictions: {} });
  });

  it('of few scopes cannot lift the restrictions of a key with many', async () => {
    const { key } = await worker.mint({ scopes: ['api_keys.update'] });
    const other = await worker.mint({ restrictions: { from: ['example.com'] } });
    expect(await calls.put(other.id, { name: 'x', restrictions: {} }, key)).toMatchObject({ status: 400 });
    expect(await calls.put(other.id, { name: 'x', restrictions: { from: [] } }, key)).toMatchObject({ status: 200 });
  });

  it('does not outrun its own narrowing: what it holds is looked up again', async () => {
    const { key, id } = await worker.mint();
    expect((await calls.post({ name: 'x' }, key)).status).toBe(201);
    await worker.keys.update(id, { scopes: ['api_keys.create'], restrictions: { max_bytes: 1 } });
    expect(shown(await calls.post({ name: 'x' }, key))).toMatchObject({
      ...{ scopes: ['api_keys.create'], restrictions: { max_bytes: 1 } },
    });
  });

  it('may revoke any key, itself too', async () => {
    const { key, id } = await narrow();
    const wide = await worker.mint();
    expect((await ask(`${KEYS}/${wide.id}`, { method: 'DELETE', key })).status).toBe(204);
    expect((await ask(`${KEYS}/${id}`, { method: 'DELETE', key })).status).toBe(204);
    await until('the key is dead', async () => (await ask(KEYS, { key })).status === 401);
  });
});
