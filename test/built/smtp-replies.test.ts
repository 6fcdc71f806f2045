// The replies that clients may rely on, literally, one row each: what is said on a fresh connection, line by line,
// and the reply to the last line.
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';

const opened: Dialogue[] = [];
afterEach(() => Promise.all(opened.splice(0).map((dialogue) => dialogue.close())));

async function open(port: number, tls?: true): Promise<Dialogue> {
  const dialogue = await openDialogue(port, tls ? { tls } : {});
  opened.push(dialogue);
  return dialogue;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = (user: string, pass: string) => `AUTH PLAIN ${base64(`\0${user}\0${pass}`)}`;
const text = (reply: string) => new RegExp(`^${reply.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);

const BAD_LOGIN = text('535 5.7.8 Authentication failed: Bad username / password');
const BAD_KEY = text(
  '535 5.7.8 Authentication failed: The provided authorization grant is invalid, expired, or revoked',
);
const NO_SCOPE = text('535 5.7.8 Authentication failed: Authenticated user is not authorized to send mail');
const SUCCESS = text('235 2.7.0 Authentication successful');
const QUEUED = /^250 2\.6\.0 Ok: queued as [\w-]{22}$/;
const MAIL = 'MAIL FROM:<app@example.com>';
const RCPT = 'RCPT TO:<you@example.com>';

interface Keys {
  good: string;
  revoked: string;
  foreign: string;
  scopeless: string;
  elsewhere: string;
}
let keys: Keys;
let server: ReadyPostern;

const create = (...options: string[]) =>
  server.json<{ api_key: string; api_key_id: string }>(['keys', 'create', '--name', 'x', ...options]);

beforeAll(async () => {
  const env = {
    POSTERN_HOSTNAME: 'mx.postern.test',
    POSTERN_SMTP_MAX_MESSAGE_BYTES: '20000',
    POSTERN_SMTP_MAX_RECIPIENTS: '3',
  };
  server = await startPostern({ env });
  const foreignData = { env: { POSTERN_DATA_DIR: `${server.dataDir}/elsewhere` } };
  const [revoked, scopeless, elsewhere, foreign] = await Promise.all([
    create(),
    create('--scope', 'stats.read'),
    create('--ip', '192.0.2.0/24'),
    server.json<{ api_key: string }>(['keys', 'create', '--name', 'foreign'], foreignData),
  ]);
  await server.run(['keys', 'revoke', revoked.api_key_id]);
  keys = {
    ...{ good: server.key(), revoked: revoked.api_key, foreign: foreign.api_key },
    ...{ scopeless: scopeless.api_key, elsewhere: elsewhere.api_key },
  };
});

type Line = string | ((keys: Keys) => string);
type Row = [when: string, lines: Line[], reply: RegExp];

/** Says the lines of a row; the reply to the last one. */
async function say(dialogue: Dialogue, lines: Line[]): Promise<string> {
  let reply = '';
  for (const line of lines) reply = await dialogue.line(typeof line === 'string' ? line : line(keys));
  return reply;
}

const AUTH: Line[] = ['EHLO client.test', ({ good }) => plain('apikey', good)];
const RECIPIENTS = [...AUTH, MAIL, RCPT];

describe('a connection', () => {
  it('is greeted by name, and with what is kept', async () => {
    const [clear, secure] = [await open(server.smtp), await open(server.smtps, true)];
    const always = [
      'PIPELINING',
      '8BITMIME',
      'SMTPUTF8',
      'SIZE 20000',
      'ENHANCEDSTATUSCODES',
      'DSN',
      'AUTH PLAIN LOGIN',
    ];

    for (const { greeting } of [clear, secure]) expect(greeting).toBe('220 mx.postern.test ESMTP Postern');
    expect((await clear.ehlo()).sort()).toEqual([...always, 'STARTTLS'].sort());
    expect((await secure.ehlo()).sort()).toEqual([...always].sort());
  });

  it('forgets what was said before STARTTLS', async () => {
    const dialogue = await open(server.smtp);
    expect(await say(dialogue, AUTH)).toMatch(SUCCESS);
    expect(await dialogue.startTls()).toMatch(/^220 /);

    expect(await dialogue.line(MAIL)).toMatch(/^503 5\.5\.1 /);
    expect(await dialogue.ehlo()).not.toContain('STARTTLS');
    expect(await dialogue.line(MAIL)).toMatch(text('530 5.7.0 Authentication required'));
    expect(await dialogue.line('STARTTLS')).toMatch(/^503 5\.5\.1 /);
  });
});

describe.each<[string, Row[]]>([
  [
    'AUTH',
    [
      ['PLAIN with a good key', AUTH, SUCCESS],
      ['PLAIN after a challenge', ['EHLO x', 'AUTH PLAIN', ({ good }) => base64(`\0apikey\0${good}`)], SUCCESS],
      ['LOGIN', ['EHLO x', 'AUTH LOGIN', base64('apikey'), ({ good }) => base64(good)], SUCCESS],
      [
        'LOGIN with the user name at once',
        ['EHLO x', `auth login ${base64('apikey')}`, ({ good }) => base64(good)],
        SUCCESS,
      ],
      ['another user name', ['EHLO x', ({ good }) => plain('postern', good)], BAD_LOGIN],
      ['the user name in capitals', ['EHLO x', ({ good }) => plain('APIKEY', good)], BAD_LOGIN],
      ['the user name with a blank', ['EHLO x', ({ good }) => plain('apikey ', good)], BAD_LOGIN],
      ['the key as user name', ['EHLO x', ({ good }) => plain(good, good)], BAD_LOGIN],
      ['no password', ['EHLO x', plain('apikey', '')], BAD_LOGIN],
      ['something that is no key', ['EHLO x', plain('apikey', 'hunter2')], BAD_LOGIN],
      ['a mistyped key', ['EHLO x', ({ good }) => plain('apikey', `${good.slice(0, -2)}xx`)], BAD_LOGIN],
      ['a key cut short', ['EHLO x', ({ good }) => plain('apikey', good.slice(0, -1))], BAD_LOGIN],
      ['a key of another server', ['EHLO x', ({ foreign }) => plain('apikey', foreign)], BAD_KEY],
      ['a revoked key', ['EHLO x', ({ revoked }) => plain('apikey', revoked)], BAD_KEY],
      ['a key from another network', ['EHLO x', ({ elsewhere }) => plain('apikey', elsewhere)], BAD_KEY],
      ['a key without mail.send', ['EHLO x', ({ scopeless }) => plain('apikey', scopeless)], NO_SCOPE],
      [
        'another authorization identity',
        ['EHLO x', ({ good }) => `AUTH PLAIN ${base64(`root\0apikey\0${good}`)}`],
        BAD_LOGIN,
      ],
      ['an unknown mechanism', ['EHLO x', 'AUTH CRAM-MD5'], /^504 5\.5\.4 /],
      ['something that is not base64', ['EHLO x', 'AUTH PLAIN !!!'], /^501 5\.5\.2 /],
      ['a client that changes its mind', ['EHLO x', 'AUTH LOGIN', '*'], /^501 5\.7\.0 /],
      ['a second time', [...AUTH, ({ good }) => plain('apikey', good)], /^503 5\.5\.1 /],
      ['before EHLO', [({ good }) => plain('apikey', good)], /^503 5\.5\.1 /],
    ],
  ],
  [
    'before AUTH',
    [
      ['MAIL', ['EHLO x', MAIL], text('530 5.7.0 Authentication required')],
      ['RCPT', ['EHLO x', RCPT], text('530 5.7.0 Authentication required')],
      ['DATA', ['EHLO x', 'DATA'], text('530 5.7.0 Authentication required')],
      [
        'MAIL after a failed AUTH',
        ['EHLO x', plain('apikey', 'wrong'), MAIL],
        text('530 5.7.0 Authentication required'),
      ],
      ['NOOP', ['NOOP'], /^250 2\.0\.0 /],
      ['RSET', ['RSET'], /^250 2\.0\.0 /],
      ['QUIT', ['QUIT'], /^221 2\.0\.0 /],
    ],
  ],
  [
    'MAIL',
    [
      ['a good sender', [...AUTH, MAIL], /^250 2\.1\.0 /],
      ['the null sender', [...AUTH, 'MAIL FROM:<>'], /^250 2\.1\.0 /],
      ['parameters that were offered', [...AUTH, `${MAIL} SIZE=100 BODY=8BITMIME SMTPUTF8`], /^250 2\.1\.0 /],
      ['SIZE beyond the limit', [...AUTH, `${MAIL} SIZE=20001`], /^552 5\.3\.4 /],
      ['an unknown parameter', [...AUTH, `${MAIL} FOO=bar`], /^555 5\.5\.4 /],
      ['a parameter of RCPT', [...AUTH, `${MAIL} NOTIFY=NEVER`], /^555 5\.5\.4 /],
      ['ENVID that is no xtext', [...AUTH, `${MAIL} ENVID=a+zz`], /^501 5\.5\.4 /],
      ['REQUIRETLS, which is not offered', [...AUTH, `${MAIL} REQUIRETLS`], /^555 5\.5\.4 /],
      ['a non-ASCII sender', [...AUTH, 'MAIL FROM:<büro@example.com>'], /^553 5\.6\.7 /],
      ['a non-ASCII sender with SMTPUTF8', [...AUTH, 'MAIL FROM:<büro@example.com> SMTPUTF8'], /^250 2\.1\.0 /],
      ['an address literal', [...AUTH, 'MAIL FROM:<a@[127.0.0.1]>'], /^501 5\.1\.7 /],
      ['an IPv6 literal', [...AUTH, 'MAIL FROM:<a@[IPv6:::1]>'], /^501 5\.1\.7 /],
      ['an unqualified domain', [...AUTH, 'MAIL FROM:<a@localhost>'], /^501 5\.1\.7 /],
      ['a numeric domain', [...AUTH, 'MAIL FROM:<a@127.0.0.1>'], /^501 5\.1\.7 /],
      ['two addresses in one', [...AUTH, 'MAIL FROM:<a,b@example.com>'], /^501 5\.1\.7 /],
      ['no domain', [...AUTH, 'MAIL FROM:<a>'], /^501 5\.1\.7 /],
      ['no brackets', [...AUTH, 'MAIL FROM:a@example.com'], /^501 5\.1\.7 /],
      ['a second time', [...AUTH, MAIL, MAIL], /^503 5\.5\.1 /],
    ],
  ],
  [
    'RCPT',
    [
      ['a good recipient', RECIPIENTS, /^250 2\.1\.5 /],
      ['before MAIL', [...AUTH, RCPT], /^503 5\.5\.1 /],
      ['an unknown parameter', [...AUTH, MAIL, `${RCPT} RET=FULL`], /^555 5\.5\.4 /],
      ['a non-ASCII recipient', [...AUTH, MAIL, 'RCPT TO:<grüße@example.com>'], /^553 5\.6\.7 /],
      ['an address literal', [...AUTH, MAIL, 'RCPT TO:<a@[127.0.0.1]>'], /^501 5\.1\.3 /],
      ['an unqualified domain', [...AUTH, MAIL, 'RCPT TO:<a@intranet>'], /^501 5\.1\.3 /],
      ['a numeric domain', [...AUTH, MAIL, 'RCPT TO:<a@2130706433>'], /^501 5\.1\.3 /],
      ['a malformed address', [...AUTH, MAIL, 'RCPT TO:<x:y@example.com>'], /^501 5\.1\.3 /],
      ['the null address', [...AUTH, MAIL, 'RCPT TO:<>'], /^501 5\.1\.3 /],
      [
        'one recipient too many',
        [...RECIPIENTS, 'RCPT TO:<b@example.com>', 'RCPT TO:<c@example.com>', 'RCPT TO:<d@example.com>'],
        /^452 4\.5\.3 /,
      ],
    ],
  ],
  [
    'DATA',
    [
      ['a good message', [...RECIPIENTS, 'DATA', 'Subject: x\r\n\r\nx\r\n.'], QUEUED],
      ['without a recipient', [...AUTH, MAIL, 'DATA'], /^503 5\.5\.1 /],
      [
        'a message that is too big',
        [...RECIPIENTS, 'DATA', `\r\n${`${'x'.repeat(98)}\r\n`.repeat(201)}.`],
        /^552 5\.3\.4 /,
      ],
      ['a bare LF, which becomes CRLF', [...RECIPIENTS, 'DATA', 'Subject: x\n\nx\r\n.'], QUEUED],
      ['a NUL', [...RECIPIENTS, 'DATA', 'Subject: x\r\n\r\na\0b\r\n.'], /^554 5\.6\.0 /],
      ['a NUL in the header', [...RECIPIENTS, 'DATA', 'Subject: a\0b\r\n\r\nx\r\n.'], /^554 5\.6\.0 /],
      [
        '101 Received fields',
        [...RECIPIENTS, 'DATA', `${'Received: from a by b; now\r\n'.repeat(101)}\r\nx\r\n.`],
        /^554 5\.4\.6 /,
      ],
      [
        '100 Received fields',
        [...RECIPIENTS, 'DATA', `${'Received: from a by b; now\r\n'.repeat(100)}\r\nx\r\n.`],
        QUEUED,
      ],
    ],
  ],
  [
    'any other command',
    [
      ['an unknown one', ['EHLO x', 'WIZ'], /^500 5\.5\.2 /],
      ['BDAT, which is not offered', [...RECIPIENTS, 'BDAT 5 LAST'], /^50[02] 5\.5\.[12] /],
      ['VRFY', ['EHLO x', 'VRFY you@example.com'], /^252 2\.\d\.\d /],
      ['EXPN', ['EHLO x', 'EXPN all'], /^502 5\.5\.1 /],
      ['a command with too many words', [...AUTH, 'RSET now'], /^501 5\.5\.4 /],
    ],
  ],
])('%s', (_command, rows) => {
  it.each(rows)('%s', async (_when, lines, reply) => {
    expect(await say(await open(server.smtp), lines)).toMatch(reply);
  });
});

describe('a transaction', () => {
  it('may follow another that was refused', async () => {
    const dialogue = await open(server.smtp);
    expect(await say(dialogue, [...RECIPIENTS, 'DATA', 'a\0b\r\n.'])).toMatch(/^554 5\.6\.0 /);
    expect(await say(dialogue, [`${MAIL} SIZE=99999`])).toMatch(/^552 5\.3\.4 /);
    expect(await say(dialogue, [MAIL, RCPT, 'DATA', 'Subject: x\r\n\r\nx\r\n.'])).toMatch(QUEUED);
    expect(await say(dialogue, [MAIL, RCPT, 'RSET', RCPT])).toMatch(/^503 5\.5\.1 /);
  });

  it('may be sent in one go', async () => {
    const dialogue = await open(server.smtp);
    await say(dialogue, AUTH);
    dialogue.send([MAIL, RCPT, 'RCPT TO:<not an address>', 'DATA', ''].join('\r\n'));
    const codes = [];
    for (let replies = 0; replies < 4; replies++) codes.push((await dialogue.reply()).slice(0, 3));

    expect(codes).toEqual(['250', '250', '501', '354']);
    dialogue.send('Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n');
    expect(await dialogue.reply()).toMatch(QUEUED);
    expect(await dialogue.reply()).toMatch(/^221 /);
    await dialogue.closed;
  });

  it('leaves nothing behind when the client vanishes in DATA', async () => {
    const before = await server.json<{ result: object[] }>(['messages', 'list', '--limit', '1000']);
    const dialogue = await open(server.smtp);
    await say(dialogue, [...RECIPIENTS, 'DATA']);
    dialogue.send('Subject: half\r\n\r\nhalf a mess');
    await dialogue.close();

    const after = await server.json<{ result: object[] }>(['messages', 'list', '--limit', '1000']);
    expect(after.result).toHaveLength(before.result.length);
  });

  it('ends with 421 at the next command, whichever it is, when the key is revoked', async () => {
    const { api_key, api_key_id } = await create();
    const lines = [MAIL, RCPT, 'DATA', 'Subject: x\r\n\r\nx\r\n.'];
    const sessions = await Promise.all(lines.map(() => open(server.smtp)));
    for (const [stage, dialogue] of sessions.entries()) {
      await say(dialogue, ['EHLO x', plain('apikey', api_key), ...lines.slice(0, stage)]);
    }

    await server.run(['keys', 'revoke', api_key_id]);
    const isRefused = async () =>
      BAD_KEY.test(await say(await open(server.smtp), ['EHLO x', plain('apikey', api_key)]));
    await until('the end of the key', isRefused);

    const replies = await Promise.all(sessions.map((dialogue, stage) => dialogue.line(lines[stage]!)));
    expect(replies).toEqual(lines.map(() => expect.stringMatching(/^421 4\.7\.0 /) as string));
    await Promise.all(sessions.map(({ closed }) => closed));
  });
});
