// /v3/api_keys and /v3/scopes: shapes, texts, and that keys work and die where mail is sent. Every answer is held
// against our own OpenAPI document and against SendGrid's.
import { asker, type Ask } from '../support/contract.js';
import { error, KeyCalls, KEYS, shown } from '../support/key-calls.js';
import { openDialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let worker: TestWorker;
let ask: Ask;
let calls: KeyCalls;
let owner: string;

beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'], env: { POSTERN_KEYS_MAX_KEYS: '1000' } });
  ask = asker(worker.httpUrl);
  owner = (await worker.mint({ name: 'owner' })).key;
  calls = new KeyCalls(ask, owner);
});
afterAll(() => worker.stop());

async function logIn(key: string): Promise<string> {
  const dialogue = await openDialogue(worker.port);
  await dialogue.ehlo();
  const reply = await dialogue.authPlain('apikey', key);
  await dialogue.close();
  return reply;
}

it('makes a key that is shown once and works over SMTP at once', async () => {
  const made = await calls.post({ name: 'My API Key', scopes: ['mail.send', 'alerts.create', 'alerts.read'] });

  expect(made.status).toBe(201);
  const { api_key: text, api_key_id: id } = shown(made);
  expect(made.text).toBe(
    JSON.stringify({
      ...{ api_key: text, api_key_id: id, name: 'My API Key', scopes: ['mail.send', 'alerts.create', 'alerts.read'] },
    }),
  );
  expect(text).toMatch(new RegExp(`^SG\\.${id}\\.[\\w-]{43}$`));
  expect(await logIn(text)).toMatch(/^235 /);
  const read = await calls.get(id);
  expect(read.text).toBe(
    JSON.stringify({ api_key_id: id, name: 'My API Key', scopes: ['mail.send', 'alerts.create', 'alerts.read'] }),
  );
  const list = (await ask(KEYS, { key: owner })).json as { result: object[] };
  expect(list.result[0]).toEqual({ name: 'My API Key', api_key_id: id });
});

it('revokes a key that is dead over SMTP within a second, and gone over HTTP', async () => {
  const { api_key: text, api_key_id: id } = shown(await calls.post({ name: 'short-lived', scopes: ['mail.send'] }));
  expect(await logIn(text)).toMatch(/^235 /);
  const gone = await ask(`${KEYS}/${id}`, { method: 'DELETE', key: owner });

  expect(gone).toMatchObject({ status: 204, text: '' });
  await until('the key is dead', async () => (await logIn(text)).startsWith('535 '));
  expect(await calls.get(id)).toMatchObject({ status: 404, text: error('unable to find API Key') });
  expect(await calls.patch(id, { name: 'x' })).toMatchObject({
    status: 404,
    text: error('unable to find API Key to update'),
  });
  expect(await calls.put(id, { name: 'x' })).toMatchObject({
    status: 404,
    text: error('unable to find API Key to update'),
  });
  const again = await ask(`${KEYS}/${id}`, { method: 'DELETE', key: owner });
  expect(again).toMatchObject({ status: 404, text: error('unable to find API Key for deletion') });
  const { result } = (await ask(KEYS, { key: owner })).json as { result: { api_key_id: string }[] };
  expect(result.map((each) => each.api_key_id)).not.toContain(id);
});

it('renames with PATCH and replaces with PUT; the key stays the same', async () => {
  const { api_key: text, api_key_id: id } = shown(await calls.post({ name: 'before', scopes: ['mail.send'] }));
  expect((await calls.patch(id, { name: 'after', scopes: ['stats.read'] })).text).toBe(
    JSON.stringify({ api_key_id: id, name: 'after' }),
  );
  expect(shown(await calls.get(id)).scopes).toEqual(['mail.send']);
  const replaced = await calls.put(id, { name: 'last', scopes: ['user.profile.read', 'mail.send', 'mail.send'] });

  expect(replaced).toMatchObject({ status: 200 });
  expect(replaced.text).toBe(
    JSON.stringify({ api_key_id: id, name: 'last', scopes: ['user.profile.read', 'mail.send'] }),
  );
  expect(await logIn(text)).toMatch(/^235 /);
  expect(shown(await calls.put(id, { name: 'only the name' })).scopes).toEqual(['user.profile.read', 'mail.send']);
  await calls.put(id, { name: 'no mail', scopes: ['stats.read'] });
  await until('the scope is gone', async () => (await logIn(text)).includes('not authorized to send mail'));
});

it('tells a key its scopes', async () => {
  const { api_key: text } = shown(await calls.post({ name: 'few', scopes: ['stats.read', 'mail.send'] }));
  expect((await ask('/v3/scopes', { key: text })).text).toBe('{"scopes":["mail.send","stats.read"]}');
  const { scopes } = (await ask('/v3/scopes', { key: owner })).json as { scopes: string[] };
  expect(scopes).toEqual(expect.arrayContaining(['mail.send', 'api_keys.create']));
  expect(scopes.filter((name) => /^(billing|2fa|sender_verification|\*)/.test(name))).toEqual([]);
});

it('limits the list', async () => {
  const list = async (limit: string) => ask(`${KEYS}?limit=${limit}`, { key: owner });
  expect(((await list('2')).json as { result: object[] }).result).toHaveLength(2);
  for (const limit of ['0', '-1', '501', 'many', '1.5', '', '1&limit=2']) {
    expect(await list(limit)).toMatchObject({ status: 400, json: { errors: [{ field: 'limit' }] } });
  }
});

describe('refuses', () => {
  const MISSING = error('missing required argument', 'name');
  const EXPECTED = error("expected JSON request body with 'name' property");
  const NAME = 'a key needs a name of 1 to 100 printable characters';

  it.each<[string, unknown, string, string]>([
    ['nothing', undefined, MISSING, EXPECTED],
    ['null', 'null', MISSING, EXPECTED],
    ['a list', [], MISSING, EXPECTED],
    ['no name', {}, MISSING, EXPECTED],
    ['a null for a name', { name: null }, MISSING, EXPECTED],
    ['an empty name', { name: '' }, MISSING, EXPECTED],
    ['no JSON', '{"name"', EXPECTED, EXPECTED],
    ['a number for a name', { name: 7 }, error('expected a string', 'name'), error('expected a string', 'name')],
    ['a long name', { name: 'x'.repeat(101) }, error(NAME, 'name'), error(NAME, 'name')],
    ['a name in two lines', { name: 'a\nb' }, error(NAME, 'name'), error(NAME, 'name')],
  ])('%s', async (_what, body, posted, changed) => {
    const { api_key_id: id } = shown(await calls.post({ name: 'whole', scopes: ['mail.send'] }));
    const headers = { 'content-type': 'application/json' };
    const send = (method: string, path: string) => ask(path, { method, body, headers, key: owner });

    expect(await send('POST', KEYS)).toMatchObject({ status: 400, text: posted });
    expect(await send('PUT', `${KEYS}/${id}`)).toMatchObject({ status: 400, text: changed });
    expect(await send('PATCH', `${KEYS}/${id}`)).toMatchObject({ status: 400, text: changed });
  });

  it.each<[string, unknown, string]>([
    ['an unknown one', ['mail.send', 'mail.sned'], 'unknown scope: mail.sned'],
    ['a wildcard', ['*'], "'*' is not a scope"],
    ['another wildcard', ['mail.*'], 'unknown scope: mail.*'],
    ['billing beside others', ['billing.read', 'mail.send'], 'cannot share'],
    ['billing, which full access does not hold', ['billing.read'], 'does not hold billing.read'],
  ])('scopes: %s', async (_what, scopes, message) => {
    const { api_key_id: id } = shown(await calls.post({ name: 'scoped', scopes: ['stats.read'] }));
    for (const answer of [await calls.post({ name: 'x', scopes }), await calls.put(id, { name: 'x', scopes })]) {
      expect(answer).toMatchObject({ status: 400 });
      expect((answer.json as { errors: object[] }).errors).toEqual([
        { field: 'scopes', message: 'invalid or unassignable scopes were given' },
        { field: 'scopes', message: expect.stringContaining(message) as string },
      ]);
    }
  });

  it.each<[unknown, string]>([
    [[], 'scopes'],
    ['mail.send', 'scopes'],
    [[7], 'scopes.0'],
    [null, 'scopes'],
  ])('scopes: %j, which must not become full access', async (scopes, field) => {
    expect(await calls.post({ name: 'x', scopes })).toMatchObject({ status: 400, json: { errors: [{ field }] } });
  });

  it.each<[unknown, string, string]>([
    [[], 'restrictions', 'expected an object with any of from'],
    [{ form: [] }, 'restrictions', "'form' is not a restriction"],
    [{ from: 'example.com' }, 'restrictions.from', 'expected a list'],
    [{ from: ['@'] }, 'restrictions.from.0', 'neither an address nor a domain'],
    [{ to: ['a@example.com', 7] }, 'restrictions.to.1', 'expected addresses or domains'],
    [{ ips: ['10.0.0.0/33'] }, 'restrictions.ips.0', 'is not a network'],
    [{ rate: '100' }, 'restrictions.rate', 'is not a rate'],
    [{ rate: { messages: 0, seconds: 1 } }, 'restrictions.rate.messages', 'whole number of at least 1'],
    [{ quota: { messages: 1 } }, 'restrictions.quota', 'expected'],
    [{ max_bytes: -1 }, 'restrictions.max_bytes', 'whole number of at least 1'],
    [{ max_recipients: '5' }, 'restrictions.max_recipients', 'whole number of at least 1'],
    [{ require_tls: 'yes' }, 'restrictions.require_tls', 'true or false'],
    [{ expires_at: 1 }, 'restrictions.expires_at', 'must be in the future'],
    [{ expires_at: Date.now() }, 'restrictions.expires_at', 'not milliseconds'],
    [{ from: null }, 'restrictions.from', 'expected a list'],
  ])('restrictions: %j', async (restrictions, field, message) => {
    const answer = await calls.post({ name: 'x', restrictions });
    expect(answer).toMatchObject({ status: 400, json: { errors: [{ field }] } });
    expect(answer.text).toContain(message);
  });

  it('a key without the scope, with 403', async () => {
    const none = (await worker.mint({ scopes: ['mail.send'] })).key;
    const answers = await Promise.all([
      ...[
        calls.post({ name: 'x' }, none),
        ask(KEYS, { key: none }),
        calls.get('x', none),
        calls.patch('x', {}, none),
        calls.put('x', {}, none),
      ],
      ask(`${KEYS}/x`, { method: 'DELETE', key: none }),
    ]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 403, text: error('access forbidden') });
  });

  it.each(['x', 'a'.repeat(100), '%2e%2e', 'A'.repeat(22)])('the id %s with 404', async (id) => {
    expect(await calls.get(id)).toMatchObject({ status: 404, text: error('unable to find API Key') });
  });
});

describe('restrictions', () => {
  const all = {
    ...{ from: ['example.com', 'a@example.org'], to: [], ips: ['127.0.0.1', '10.0.0.0/8'], rate: '100/1m' },
    ...{ quota: { messages: 10_000, seconds: 86_400 }, max_bytes: 1000, max_recipients: 5, require_tls: true },
    expires_at: 4_000_000_000,
  };
  const stored = { ...all, ips: ['127.0.0.1/32', '10.0.0.0/8'], rate: { messages: 100, seconds: 60 } };

  it('are kept, answered and read again', async () => {
    const made = await calls.post({ name: 'narrow', scopes: ['mail.send'], restrictions: all });
    expect(made).toMatchObject({ status: 201, json: { restrictions: stored } });
    const { api_key_id: id } = shown(made);
    expect((await worker.keys.find(id))?.restrictions).toEqual(stored);
    expect(shown(await calls.get(id)).restrictions).toEqual(stored);
  });

  it('stay with PUT that does not name them, and are replaced by PUT that does', async () => {
    const { api_key_id: id } = shown(await calls.post({ name: 'n', scopes: ['mail.send'], restrictions: all }));
    expect(shown(await calls.put(id, { name: 'n', scopes: ['mail.send'] })).restrictions).toEqual(stored);
    expect(shown(await calls.put(id, { name: 'n', restrictions: { max_bytes: 7 } })).restrictions).toEqual({
      max_bytes: 7,
    });
    expect(shown(await calls.put(id, { name: 'n', restrictions: {} }))).not.toHaveProperty('restrictions');
  });

  it('cannot end a key in the past, by no call', async () => {
    const { api_key_id: id } = shown(await calls.post({ name: 'n', scopes: ['mail.send'] }));
    const restrictions = { expires_at: 1 };
    for (const answer of [
      await calls.post({ name: 'n', restrictions }),
      await calls.put(id, { name: 'n', restrictions }),
    ]) {
      expect(answer).toMatchObject({ status: 400, text: error('must be in the future', 'restrictions.expires_at') });
    }
  });

  it('with an empty list deny: nothing can be sent', async () => {
    const { api_key: text } = shown(
      await calls.post({ name: 'mute', scopes: ['mail.send'], restrictions: { to: [] } }),
    );
    const dialogue = await worker.logIn(text);
    await dialogue.line('MAIL FROM:<a@example.com>');
    expect(await dialogue.line('RCPT TO:<b@example.com>')).toMatch(/^550 5\.7\.1 /);
    await dialogue.close();
  });
});

it('changes one key twice at the same time without losing either change', async () => {
  const { api_key_id: id } = shown(await calls.post({ name: 'busy', scopes: ['mail.send'] }));
  const answers = await Promise.all([
    calls.put(id, { name: 'a', scopes: ['stats.read'] }),
    calls.put(id, { name: 'b', restrictions: { max_bytes: 9 } }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(await worker.keys.find(id)).toMatchObject({ scopes: ['stats.read'], restrictions: { max_bytes: 9 } });
});

it('writes no key into the log, wherever a client puts it', async () => {
  await ask(`${KEYS}?api_key=${owner}`);
  await ask(`/nothing/${owner}?key=${owner}`, { headers: { 'x-api-key': owner } });
  await ask(KEYS, { method: 'POST', key: owner, body: { name: owner, scopes: [owner] } });
  await ask(KEYS, { key: `${owner.slice(0, -1)}x` });
  await worker.log.line('HTTP request refused', ({ verdict }) => verdict === 'malformed');

  // The log masks keys in whatever it is given; this looks for the mask.
  expect(JSON.stringify(worker.log.lines)).not.toContain('[secret]');
});

describe('keys.maxKeys', () => {
  it('holds over all processes, and a revoked key makes room', async () => {
    const env = { POSTERN_KEYS_MAX_KEYS: '5' };
    const first = await startTestWorker({ roles: ['accept'], env });
    const second = await startTestWorker({ roles: ['accept'], env, redis: first.redis });
    const { key } = await first.mint();
    const asks = [first, second].map(({ httpUrl }) => asker(httpUrl));
    const make = (at: number) =>
      asks[at % 2]!(KEYS, { method: 'POST', key, body: { name: `k${at}`, scopes: ['mail.send'] } });
    try {
      const made = await Promise.all(Array.from({ length: 12 }, (_none, at) => make(at)));
      expect(made.filter(({ status }) => status === 201)).toHaveLength(4);
      const refused = made.filter(({ status }) => status === 403);
      expect(new Set(refused.map(({ text }) => text))).toEqual(new Set([error('Cannot create more than 5 API Keys')]));
      expect(refused).toHaveLength(8);
      await expect(second.mint()).rejects.toThrow('there are 5 keys already: revoke one, or raise keys.maxKeys');
      const { api_key_id: id } = shown(made.find(({ status }) => status === 201)!);
      await asks[0]!(`${KEYS}/${id}`, { method: 'DELETE', key });
      expect((await make(1)).status).toBe(201);
      expect((await make(2)).status).toBe(403);
    } finally {
      await second.stop();
      await first.stop();
    }
  });
});
