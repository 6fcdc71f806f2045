// postern keys beside a running server: what each verb prints, for people and for programs, what it does to the
// server at once, and that the secret is shown by create alone.
import { attempt, logIn } from '../support/built-mail.js';
import { KEY, keyIn, startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue } from '../support/dialogue.js';
import { together } from '../support/built-together.js';
import { until } from '../support/until.js';

let server: ReadyPostern;
beforeAll(async () => {
  server = await startPostern();
});

interface Key {
  api_key?: string;
  api_key_id: string;
  name: string;
  scopes: string[];
  state: string;
  restrictions: Record<string, unknown>;
  last_used_from: string | null;
}

const create = (...options: string[]) =>
  server.json<Key & { api_key: string }>(['keys', 'create', '--name', 'test', ...options]);
const show = (id: string) => server.json<Key>(['keys', 'show', id]);
const UNKNOWN = 'A'.repeat(21) + 'Q';

/** The reply to a login over a connection of its own. */
async function login(key: string): Promise<string> {
  const dialogue = await openDialogue(server.smtp);
  await dialogue.ehlo();
  const reply = await dialogue.authPlain('apikey', key);
  await dialogue.close();
  return reply;
}

describe('keys create', () => {
  it('prints the key alone on standard output, and its id beside it', async () => {
    const { code, stdout, stderr } = await server.run(['keys', 'create', '--name', 'billing app']);

    expect(code).toBe(0);
    expect(stdout).toMatch(/^SG\.[\w-]{22}\.[\w-]{43}\n$/);
    expect(stderr).toContain(KEY.exec(stdout)![1]);
    expect(stderr).toContain('billing app');
    expect(stderr).not.toMatch(KEY);
    expect(await login(stdout.trim())).toBe('235 2.7.0 Authentication successful');
  });

  it('prints an object with --json', async () => {
    const made = await create('--scope', 'mail.send', '--scope', 'stats.read');

    expect(made).toMatchObject({ name: 'test', scopes: ['mail.send', 'stats.read'] });
    expect(made.api_key).toMatch(KEY);
    expect(made.api_key_id).toBe(KEY.exec(made.api_key)![1]);
  });

  it('gives full access when no scope is named', async () => {
    const { scopes } = await create();

    expect(scopes).toEqual(expect.arrayContaining(['mail.send', 'api_keys.create', 'api_keys.delete']));
  });

  it('keeps every restriction as it was given', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { restrictions, api_key_id } = await create(
      ...['--from', 'example.com', '--from', 'app@example.org', '--to', 'example.net', '--ip', '10.0.0.0/8'],
      ...['--ip', '2001:db8::/32', '--expires', '90d', '--rate', '100/1m', '--quota', '10000/1d'],
      ...['--max-bytes', '50000', '--max-recipients', '10', '--require-tls'],
    );

    expect(restrictions).toMatchObject({
      ...{ from: ['example.com', 'app@example.org'], to: ['example.net'], ips: ['10.0.0.0/8', '2001:db8::/32'] },
      ...{ max_bytes: 50_000, max_recipients: 10, require_tls: true },
    });
    expect(restrictions.rate).toBeDefined();
    expect(restrictions.quota).toBeDefined();
    const lifetime = Number(restrictions.expires_at) - before;
    expect(Math.abs(lifetime - 90 * 86_400)).toBeLessThan(60);
    expect((await show(api_key_id)).restrictions).toEqual(restrictions);
    const { stdout } = await server.run(['keys', 'show', api_key_id]);
    for (const text of ['example.com', 'app@example.org', 'example.net', '10.0.0.0/8', '100/1m', '10000/1d', '50000'])
      expect(stdout).toContain(text);
  });

  const wrong: [string, string[], RegExp][] = [
    ['no name', ['keys', 'create'], /--name/],
    ['an unknown scope', ['--scope', 'mail.sned'], /mail\.sned/],
    ['a sender that is no address', ['--from', 'not an address'], /--from.*not an address/],
    ['a network that is none', ['--ip', '10.0.0.0/33'], /--ip.*10\.0\.0\.0\/33/],
    ['a time without a unit', ['--expires', '90'], /--expires.*90/],
    ['a rate without a time', ['--rate', '100'], /--rate.*100/],
    ['a quota of nothing', ['--quota', '0/1d'], /--quota.*0\/1d/],
    ['a size that is no number', ['--max-bytes', '5MB'], /--max-bytes.*5MB/],
    ['no recipients', ['--max-recipients', '0'], /--max-recipients.*0/],
  ];
  const refusal = together(
    wrong.map(([what]) => what),
    (name) => {
      const [, options] = wrong.find(([what]) => what === name)!;
      return server.run(options[0] === 'keys' ? options : ['keys', 'create', '--name', 'wrong', ...options]);
    },
  );

  it.each(wrong)('refuses %s as wrong usage', async (what, _options, message) => {
    const { code, stdout, stderr } = await refusal(what);

    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(message) as string });
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('refuses a name that is empty', async () => {
    const { code, stdout, stderr } = await server.run(['keys', 'create', '--name', '']);

    expect(code).toBeGreaterThan(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/name/);
  });
});

describe('keys list and keys show', () => {
  it('show id, name, scopes and state, and never the secret', async () => {
    const made = await create('--scope', 'mail.send');
    const secret = made.api_key.split('.')[2]!;

    const [list, one, listJson, oneJson] = await Promise.all([
      server.run(['keys', 'list']),
      server.run(['keys', 'show', made.api_key_id]),
      server.run(['keys', 'list', '--json']),
      server.run(['keys', 'show', made.api_key_id, '--json']),
    ]);

    for (const { code, stdout, stderr } of [list, one, listJson, oneJson]) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const part of [made.api_key_id, 'test', 'mail.send', 'active']) expect(stdout).toContain(part);
      expect(stdout).not.toContain(secret);
      expect(stdout).not.toMatch(/hash/i);
    }
    const { result } = JSON.parse(listJson.stdout) as { result: Key[] };
    expect(result[0]).toEqual(JSON.parse(oneJson.stdout)); // newest first
  });

  it('show when and from where a key was last used', async () => {
    const { api_key, api_key_id } = await create();
    expect((await show(api_key_id)).last_used_from).toBeNull();

    await login(api_key);

    const used = await until('the use of the key', async () => {
      const shown = await show(api_key_id);
      return shown.last_used_from !== null && shown;
    });
    expect(used.last_used_from).toBe('127.0.0.1');
  });

  it('a key that does not exist is a failure', async () => {
    const { code, stdout, stderr } = await server.run(['keys', 'show', UNKNOWN]);

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(UNKNOWN);
  });
});

describe('keys update', () => {
  it('changes what is named and leaves the rest', async () => {
    const { api_key_id } = await create('--scope', 'mail.send', '--from', 'example.com', '--max-recipients', '5');

    const { code, stdout } = await server.run([
      'keys',
      'update',
      api_key_id,
      '--name',
      'renamed',
      '--to',
      'example.net',
    ]);

    expect(code).toBe(0);
    expect(stdout).toContain('renamed');
    expect(await show(api_key_id)).toMatchObject({
      ...{ name: 'renamed', scopes: ['mail.send'] },
      restrictions: { from: ['example.com'], to: ['example.net'], max_recipients: 5 },
    });
  });

  it('replaces the scopes, and the server obeys at once', async () => {
    const { api_key, api_key_id } = await create();
    expect(await login(api_key)).toMatch(/^235 /);

    const { scopes } = await server.json<Key>(['keys', 'update', api_key_id, '--scope', 'stats.read']);

    expect(scopes).toEqual(['stats.read']);
    expect(await until('the refusal', async () => (await login(api_key)).startsWith('535') && login(api_key))).toBe(
      '535 5.7.8 Authentication failed: Authenticated user is not authorized to send mail',
    );
  });

  it('lifts every restriction that is named', async () => {
    const { api_key_id } = await create(
      ...['--from', 'example.com', '--to', 'example.net', '--ip', '10.0.0.0/8', '--expires', '90d', '--rate', '1/1m'],
      ...['--quota', '1/1d', '--max-bytes', '50000', '--max-recipients', '10', '--require-tls'],
    );

    const names = ['from', 'to', 'ip', 'expires', 'rate', 'quota', 'max-bytes', 'max-recipients'];
    const some = await server.json<Key>(['keys', 'update', api_key_id, ...names.flatMap((name) => ['--lift', name])]);
    const none = await server.json<Key>(['keys', 'update', api_key_id, '--lift', 'require-tls']);

    expect(some.restrictions).toEqual({ require_tls: true });
    expect(none.restrictions).toEqual({});
  });

  it.each<[string, string[], number, RegExp]>([
    ['a key that does not exist', [UNKNOWN, '--name', 'x'], 1, /no such key/],
    ['no key', ['--name', 'x'], 2, /missing required argument/],
    ['a restriction that does not exist', [UNKNOWN, '--lift', 'everything'], 2, /everything/],
  ])('refuses %s', async (_what, args, code, message) => {
    expect(await server.run(['keys', 'update', ...args])).toMatchObject({
      ...{ code, stdout: '', stderr: expect.stringMatching(message) as string },
    });
  });
});

describe('keys revoke', () => {
  it('ends several keys at once, and the sessions that are open with them', async () => {
    const [one, two] = await Promise.all([create(), create()]);
    const dialogue = await logIn(server.smtp, one.api_key);

    const { code, stdout } = await server.run(['keys', 'revoke', one.api_key_id, two.api_key_id]);

    expect(code).toBe(0);
    for (const { api_key_id } of [one, two]) expect(stdout).toContain(api_key_id);
    expect(await attempt(dialogue)).toMatch(/^421 4\.7\.0 /);
    await dialogue.closed;
    for (const { api_key } of [one, two]) {
      expect(await login(api_key)).toBe(
        '535 5.7.8 Authentication failed: The provided authorization grant is invalid, expired, or revoked',
      );
    }
    expect((await show(one.api_key_id)).state).toBe('revoked');
  });

  it('may be said twice', async () => {
    const { api_key_id } = await create();

    for (const time of ['first', 'second']) {
      const { code } = await server.run(['keys', 'revoke', api_key_id]);
      expect({ time, code }).toEqual({ time, code: 0 });
    }
  });

  it('revokes those that exist and fails for those that do not', async () => {
    const { api_key_id } = await create();

    const { code, stderr } = await server.run(['keys', 'revoke', UNKNOWN, api_key_id, '--json']);

    expect(code).toBe(1);
    expect(stderr).toContain(UNKNOWN);
    expect((await show(api_key_id)).state).toBe('revoked');
  });
});

describe('keys verify', () => {
  const verify = (input: string, ...options: string[]) => server.run(['keys', 'verify', ...options], { input });

  it('accepts a good key and says what it may do', async () => {
    const { api_key, api_key_id } = await create('--scope', 'mail.send', '--from', 'example.com', '--rate', '5/1m');

    const { code, stdout } = await verify(`${api_key}\n`, '--from', 'app@example.com', '--to', 'you@example.org');

    expect(code).toBe(0);
    for (const part of [api_key_id, 'mail.send', 'example.com', '5/1m']) expect(stdout).toContain(part);
    expect(stdout).not.toContain(api_key);
  });

  it('refuses a sender, a recipient and a client address that are outside what the key may', async () => {
    const { api_key } = await create('--from', 'example.com', '--to', 'example.net', '--ip', '127.0.0.0/8');

    const [good, ...bad] = await Promise.all([
      verify(api_key),
      verify(api_key, '--from', 'app@example.org'),
      verify(api_key, '--to', 'you@example.org'),
      verify(api_key, '--ip', '192.0.2.1'),
    ]);

    expect(good.code).toBe(0);
    expect(bad.map(({ code }) => code)).toEqual([1, 1, 1]);
    const why = bad.map(({ stdout, stderr }) => stdout + stderr);
    expect(why).toEqual(
      [/app@example\.org/, /you@example\.org/, /address/].map((each) => expect.stringMatching(each) as string),
    );
  });

  it('tells a mistyped, an unknown and a revoked key apart, for whoever runs the server', async () => {
    const [revoked, expired] = await Promise.all([create(), create('--expires', '1s')]);
    await server.run(['keys', 'revoke', revoked.api_key_id]);
    const elsewhere = keyIn((await foreignKey()).stdout);
    const verdict = async (key: string) => {
      const { code, stdout } = await verify(key, '--json');
      return { code, ...(JSON.parse(stdout) as { verdict: string; may_send: boolean }) };
    };
    await until('the end of the key', async () => (await verdict(expired.api_key)).verdict === 'expired');

    const verdicts = ['nonsense', `${revoked.api_key.slice(0, -1)}x`, elsewhere, revoked.api_key].map(verdict);

    expect(await Promise.all(verdicts)).toMatchObject([
      { code: 1, verdict: 'malformed', may_send: false },
      { code: 1, verdict: 'malformed', may_send: false },
      { code: 1, verdict: 'unknown', may_send: false },
      { code: 1, verdict: 'revoked', may_send: false },
    ]);
  });

  /** A key of the right shape that another server made. */
  async function foreignKey() {
    const folder = `${server.dataDir}-foreign`;
    return server.run(['keys', 'create', '--name', 'foreign'], { env: { POSTERN_DATA_DIR: folder } });
  }

  it('refuses a key without mail.send', async () => {
    const { api_key } = await create('--scope', 'stats.read');

    const { code, stdout, stderr } = await verify(api_key);

    expect(code).toBe(1);
    expect(stdout + stderr).toContain('mail.send');
  });

  it('needs a key on standard input and takes none from the command line', async () => {
    const { api_key } = await create();
    const nothing = await verify('');
    expect(nothing).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/standard input/) as string });

    const given = await verify('', api_key);
    expect(given).toMatchObject({ code: 2, stdout: '' });
    expect(given.stderr).not.toContain(api_key);
  });
});
