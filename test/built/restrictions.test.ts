// What a key is restricted to holds over SMTP from the first command that shows it, with the replies that clients
// know, and a change of a key holds for sessions that are open.
import { execute } from '../support/built-command.js';
import { attempt, logIn, queueId, submit, submitOnce } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';

let server: ReadyPostern;
let keys: Record<string, { api_key: string; api_key_id: string }>;
const opened: Dialogue[] = [];

const RESTRICTIONS: Record<string, string[]> = {
  from: ['--from', 'example.com', '--from', 'one@example.org'],
  to: ['--to', 'example.net', '--to', 'you@example.org'],
  here: ['--ip', '127.0.0.0/8'],
  elsewhere: ['--ip', '192.0.2.0/24', '--ip', '2001:db8::/32'],
  rate: ['--rate', '2/1h'],
  quota: ['--quota', '2/1d'],
  bytes: ['--max-bytes', '2000'],
  recipients: ['--max-recipients', '2'],
  tls: ['--require-tls'],
  scope: ['--scope', 'stats.read'],
  changed: ['--from', 'example.com', '--rate', '1/1h'],
};
const REFUSED_KEY = '535 5.7.8 Authentication failed: The provided authorization grant is invalid, expired, or revoked';
const WRONG_SENDER = /^550 5\.7\.1 The from address does not match a verified Sender Identity/;

beforeAll(async () => {
  server = await startPostern();
  const made = await Promise.all(
    Object.entries(RESTRICTIONS).map(async ([name, options]) => {
      const key = await server.json<{ api_key: string; api_key_id: string }>([
        'keys',
        'create',
        '--name',
        name,
        ...options,
      ]);
      return [name, key] as const;
    }),
  );
  keys = Object.fromEntries(made);
});
afterEach(() => Promise.all(opened.splice(0).map((dialogue) => dialogue.close())));

/** A session that is logged in with the key of that name. */
async function session(name: string): Promise<Dialogue> {
  const dialogue = await logIn(server.smtp, keys[name]!.api_key);
  opened.push(dialogue);
  return dialogue;
}

/** The reply to a login, over a connection of its own. */
async function login(key: string): Promise<string> {
  const dialogue = await openDialogue(server.smtp);
  opened.push(dialogue);
  await dialogue.ehlo();
  return dialogue.authPlain('apikey', key);
}

const from = (sender: string) => `From: ${sender}\r\nSubject: x\r\n\r\nx\r\n`;

describe('--from', () => {
  it.each(['app@example.com', 'APP@EXAMPLE.COM', 'one@example.org'])('lets %s send', async (sender) => {
    expect(await attempt(await session('from'), { from: sender, data: from(sender) })).toMatch(/^250 2\.6\.0 /);
  });

  it.each(['app@example.org', 'two@example.org', 'app@sub.example.com', 'app@notexample.com', ''])(
    'refuses <%s> at MAIL',
    async (sender) => {
      const dialogue = await session('from');

      expect(await dialogue.line(`MAIL FROM:<${sender}>`)).toMatch(WRONG_SENDER);
    },
  );

  it.each([
    ['another From', from('boss@example.org')],
    [
      'a second From',
      `${from('app@example.com').slice(0, -3)}`.replace('Subject', 'From: boss@example.org\r\nSubject'),
    ],
    ['a second address in From', from('app@example.com, boss@example.org')],
    ['a From that hides behind a name', from('"app@example.com" <boss@example.org>')],
    ['a folded From', from('app\r\n <boss@example.org>')],
    ['a From in capitals', 'FROM: boss@example.org\r\n\r\nx\r\n'],
    ['a From that cannot be read', from('app@example.com <boss@example.org')],
  ])('refuses %s at the end of DATA', async (_what, data) => {
    expect(await attempt(await session('from'), { data })).toMatch(WRONG_SENDER);
  });
});

describe('--to', () => {
  it('lets through the recipients that match and refuses the others, one by one', async () => {
    const dialogue = await session('to');
    await dialogue.line('MAIL FROM:<app@example.com>');
    const recipients = ['a@example.net', 'a@EXAMPLE.NET', 'you@example.org', 'me@example.org', 'a@sub.example.net'];
    const replies: string[] = [];
    for (const recipient of recipients) replies.push(await dialogue.line(`RCPT TO:<${recipient}>`));

    expect(replies.map((reply) => reply.slice(0, 9))).toEqual([
      ...['250 2.1.5', '250 2.1.5', '250 2.1.5', '550 5.7.1', '550 5.7.1'],
    ]);
    expect(await dialogue.line('DATA')).toMatch(/^354/);
    expect(await dialogue.line('Subject: x\r\n\r\nx\r\n.')).toMatch(/^250 2\.6\.0/);
  });
});

describe('--ip', () => {
  it('lets a client in that is inside', async () => {
    expect(await submit(await session('here'))).toHaveLength(22);
  });

  it('answers a client that is outside as if there were no such key', async () => {
    expect(await login(keys.elsewhere!.api_key)).toBe(REFUSED_KEY);
  });

  it('sees each client by its own address', async () => {
    const only = await server.json<{ api_key: string }>([
      'keys',
      'create',
      '--name',
      'one address',
      '--ip',
      '127.0.0.9',
    ]);
    const curl = (address: string) =>
      execute(
        'curl',
        [
          ...['--silent', '--url', `smtp://127.0.0.1:${server.smtp}`, '--interface', address],
          ...['--user', `apikey:${only.api_key}`, '--mail-from', 'a@example.com', '--mail-rcpt', 'b@example.com'],
          ...['--upload-file', '-'],
        ],
        { input: 'Subject: x\r\n\r\nx\r\n' },
      );

    expect((await curl('127.0.0.9')).code).toBe(0);
    expect((await curl('127.0.0.8')).code).not.toBe(0);
  });
});

describe('--expires', () => {
  it('ends the key at its time, for new sessions and for one that is open', async () => {
    const { api_key } = await server.json<{ api_key: string }>([
      'keys',
      'create',
      '--name',
      'short',
      '--expires',
      '2s',
    ]);
    const open = await logIn(server.smtp, api_key);
    opened.push(open);
    expect(await attempt(open)).toMatch(/^250 /);

    await until('the end of the key', async () => (await login(api_key)) === REFUSED_KEY);

    expect(await open.line('MAIL FROM:<app@example.com>')).toMatch(/^421 4\.7\.0 /);
    await open.closed;
  });
});

describe('--rate and --quota', () => {
  it.each([
    ['rate', /^450 4\.7\.1 .*\b(\d+) seconds/, 3600],
    ['quota', /^451 4\.7\.1 .*\b(\d+) seconds/, 86_400],
  ])('%s: what is too much is put off, with the time to wait, over all connections', async (name, refusal, atMost) => {
    const replies: string[] = [];
    for (let sent = 0; sent < 3; sent++) replies.push(await attempt(await session(name)));

    expect(replies.slice(0, 2)).toEqual(Array(2).fill(expect.stringMatching(/^250 2\.6\.0 /)));
    expect(replies[2]).toMatch(refusal);
    const wait = Number(refusal.exec(replies[2]!)![1]);
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(atMost);
  });

  it('a message that is refused for something else is not counted', async () => {
    const { api_key } = await server.json<{ api_key: string }>([
      ...['keys', 'create', '--name', 'counted', '--quota', '1/1d', '--max-bytes', '1000'],
    ]);
    const dialogue = await logIn(server.smtp, api_key);
    opened.push(dialogue);

    expect(await attempt(dialogue, { data: `${'x'.repeat(70)}\r\n`.repeat(100) })).toMatch(/^552 5\.3\.4 /);
    expect(await attempt(dialogue)).toMatch(/^250 2\.6\.0 /);
    expect(await attempt(dialogue)).toMatch(/^451 4\.7\.1 /);
  });
});

describe('--max-bytes', () => {
  it('refuses a message that says it is too big at MAIL', async () => {
    const dialogue = await session('bytes');

    expect(await dialogue.line('MAIL FROM:<app@example.com> SIZE=2001')).toMatch(/^552 5\.3\.4 /);
    expect(await dialogue.line('MAIL FROM:<app@example.com> SIZE=2000')).toMatch(/^250 2\.1\.0 /);
  });

  it('refuses one that turns out to be too big at the end of DATA, and takes one that just fits', async () => {
    const dialogue = await session('bytes');
    const ofBytes = (bytes: number) => `\r\n${'x'.repeat(bytes - 4)}\r\n`;

    expect(await attempt(dialogue, { data: ofBytes(2001) })).toMatch(/^552 5\.3\.4 /);
    expect(await attempt(dialogue, { data: ofBytes(2000) })).toMatch(/^250 2\.6\.0 /);
  });
});

describe('--max-recipients', () => {
  it('refuses the recipient beyond the limit, and the mail goes to the others', async () => {
    const dialogue = await session('recipients');
    await dialogue.line('MAIL FROM:<app@example.com>');
    for (const recipient of ['a@example.com', 'b@example.com'])
      expect(await dialogue.line(`RCPT TO:<${recipient}>`)).toMatch(/^250 /);

    expect(await dialogue.line('RCPT TO:<c@example.com>')).toMatch(/^452 4\.5\.3 /);
    expect(await dialogue.line('DATA')).toMatch(/^354/);
    const id = queueId(await dialogue.line('Subject: x\r\n\r\nx\r\n.'));
    const { recipients } = await server.json<{ recipients: object[] }>(['messages', 'show', id]);
    expect(recipients).toHaveLength(2);
  });
});

describe('--require-tls', () => {
  it('refuses the key in the clear and takes it over TLS', async () => {
    expect(await login(keys.tls!.api_key)).toMatch(/^5\d\d 5\.7\.\d+ .*TLS/);

    const secure = await logIn(server.smtps, keys.tls!.api_key, { tls: true });
    opened.push(secure);
    expect(await submit(secure)).toHaveLength(22);
    const upgraded = await openDialogue(server.smtp);
    opened.push(upgraded);
    await upgraded.ehlo();
    await upgraded.startTls();
    await upgraded.ehlo();
    expect(await upgraded.authPlain('apikey', keys.tls!.api_key)).toMatch(/^235 /);
  });
});

describe('a key without mail.send', () => {
  it('is told so at AUTH', async () => {
    expect(await login(keys.scope!.api_key)).toBe(
      '535 5.7.8 Authentication failed: Authenticated user is not authorized to send mail',
    );
  });
});

describe('keys update', () => {
  it('--lift frees a key of what held it, also in a session that is open', async () => {
    const { api_key_id } = keys.changed!;
    const dialogue = await session('changed');
    const other = { from: 'app@example.org', data: from('app@example.org') };
    expect(await attempt(dialogue)).toMatch(/^250 /);
    expect(await attempt(dialogue)).toMatch(/^450 4\.7\.1 /);
    expect(await attempt(dialogue, other)).toMatch(WRONG_SENDER);

    expect((await server.run(['keys', 'update', api_key_id, '--lift', 'from', '--lift', 'rate'])).code).toBe(0);

    expect(await until('room', async () => attempt(dialogue, other).then((reply) => reply.startsWith('250')))).toBe(
      true,
    );
  });

  it('binds a key that was free, also in a session that is open', async () => {
    const made = await server.json<{ api_key: string; api_key_id: string }>(['keys', 'create', '--name', 'free']);
    const dialogue = await logIn(server.smtp, made.api_key);
    opened.push(dialogue);
    expect(await attempt(dialogue)).toMatch(/^250 /);

    await server.run(['keys', 'update', made.api_key_id, '--to', 'example.net']);

    const refused = async () => (await attempt(dialogue)).startsWith('550 5.7.1');
    expect(await until('the refusal', refused)).toBe(true);
  });
});

describe('a key that is restricted in nothing', () => {
  it('may send anything from this machine', async () => {
    expect(
      await submitOnce(server.smtp, server.key(), { from: '', to: ['a@example.com', 'b@example.org'] }),
    ).toHaveLength(22);
  });
});
