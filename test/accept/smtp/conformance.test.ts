// What is sent, and the reply to it: RFC 5321, 6409, 4954, 4616, 3207, 1870, 6152, 6531, 3461 and 2034, a row for each
// rule that clients or attackers put to the test. Each row has a connection of its own; its last line is the one judged.
import { startTestWorker, type TestWorker } from '../../support/worker.js';
import { openDialogue, type Dialogue } from '../../support/dialogue.js';

let worker: TestWorker;
let key: string;

beforeAll(async () => {
  worker = await startTestWorker({ env: { POSTERN_SMTP_MAX_MESSAGE_BYTES: '100000' } });
  key = (await worker.mint()).key;
});
afterAll(() => worker.stop());

const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
type Row = [sent: string, reply: RegExp, name?: string];

const AT = {
  /** Nothing was said before. */
  start: [] as string[],
  hello: ['EHLO client.test'],
  login: ['EHLO client.test', '<login>'],
  mail: ['EHLO client.test', '<login>', 'MAIL FROM:<a@example.com>'],
  utf8: ['EHLO client.test', '<login>', 'MAIL FROM:<a@example.com> SMTPUTF8'],
  rcpt: ['EHLO client.test', '<login>', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>'],
  helo: ['HELO client.test', '<login>'],
  authLogin: ['EHLO client.test', 'AUTH LOGIN'],
  authPlain: ['EHLO client.test', 'AUTH PLAIN'],
};

const filled = (line: string): string =>
  line.replace('<login>', `AUTH PLAIN ${base64(`\0apikey\0${key}`)}`).replace('<key>', key);

async function replyTo(before: string[], sent: string): Promise<{ reply: string; dialogue: Dialogue }> {
  const dialogue = await openDialogue(worker.port);
  for (const line of before) expect(await dialogue.line(filled(line))).toMatch(/^[23]/);
  return { reply: await dialogue.line(filled(sent)), dialogue };
}

const OK = /^250 2\.1\.[05] Ok$/;
const SYNTAX = /^501 5\.5\.4 Syntax: /;
const BAD_SENDER = /^501 5\.1\.7 /;
const BAD_RECIPIENT = /^501 5\.1\.3 /;
const BAD_VALUE = /^501 5\.5\.4 Bad value /;
const UNKNOWN_PARAMETER = /^555 5\.5\.4 /;
const SEQUENCE = /^503 5\.5\.1 /;
const UNKNOWN = /^500 5\.5\.2 Command not recognized$/;
const TOO_LONG = /^500 5\.5\.2 Line too long$/;
const NOT_DECODED = /^501 5\.5\.2 /;
const BAD_LOGIN = /^535 5\.7\.8 Authentication failed: Bad username/;

const rows: [keyof typeof AT, Row[]][] = [
  [
    'start',
    [
      ['EHLO', SYNTAX],
      ['HELO', SYNTAX],
      ['EHLO a b', SYNTAX],
      ['EHLO \u0436.example', SYNTAX],
      ['EHLO a..example', SYNTAX],
      ['EHLO <script>', SYNTAX],
      ['EHLO [1.2.3]', SYNTAX],
      ['EHLO [IPv6:1.2.3.4]', SYNTAX],
      [`EHLO ${'a'.repeat(64)}.example`, SYNTAX],
      [`EHLO ${'a.'.repeat(128)}`, SYNTAX],
      ['EHLO [127.0.0.1]', /^250-/],
      ['EHLO [IPv6:::1]', /^250-/],
      ['EHLO 127.0.0.1', /^250-/],
      ['EHLO my_machine', /^250-/],
      ['EHLO localhost', /^250-/],
      ['ehlo client.test', /^250-/],
      ['EhLo client.test  ', /^250-/],
      ['HELO client.test', /^250 postern\.test$/],
      ['MAIL FROM:<a@example.com>', SEQUENCE],
      ['RCPT TO:<a@example.com>', SEQUENCE],
      ['DATA', SEQUENCE],
      ['<login>', SEQUENCE],
      ['NOOP', /^250 2\.0\.0 Ok$/],
      ['RSET', /^250 2\.0\.0 Ok$/],
      ['HELP', /^214 2\.0\.0 /],
      ['QUIT', /^221 2\.0\.0 /],
      ['', UNKNOWN],
      [' NOOP', UNKNOWN],
      ['\tNOOP', UNKNOWN],
      ['QU\u0131T', UNKNOWN, 'a capital that is one only in Unicode'],
      ['NOOP\t', /^250 /],
      ['NOOP \x01', NOT_DECODED],
      ['GET / HTTP/1.1', /^421 4\.7\.0 postern\.test This is SMTP, not HTTP$/],
      ['POST /v3/mail/send HTTP/1.0', /^421 4\.7\.0 /],
    ],
  ],
  [
    'hello',
    [
      ['MAIL FROM:<a@example.com>', /^530 5\.7\.0 /],
      ['NOOP ignored', /^250 2\.0\.0 /],
      [`NOOP ${'x'.repeat(505)}`, /^250 /],
      [`NOOP ${'x'.repeat(506)}`, TOO_LONG],
      [`NOOP ${'x'.repeat(20_000)}`, TOO_LONG],
      ['HELP MAIL', /^214 2\.0\.0 /],
      ['VRFY', SYNTAX],
      ['VRFY postmaster', /^252 2\.\d\.\d /],
      ['EXPN staff', /^502 5\.5\.1 /],
      ['EXPN', /^502 5\.5\.1 /],
      ['RSET now', SYNTAX],
      ['DATA now', SYNTAX],
      ['QUIT now', SYNTAX],
      ['STARTTLS now', SYNTAX],
      ...['WIZ', 'DEBUG', 'SHELL', 'KILL', 'TURN', 'ETRN x', 'SEND FROM:<a@b.c>', 'SOML FROM:<a@b.c>'].map(
        (verb): Row => [verb, UNKNOWN],
      ),
      ...['SAML FROM:<a@b.c>', 'BDAT 1 LAST', 'XCLIENT ADDR=1.2.3.4', 'XFORWARD NAME=x', 'LHLO x', 'AUTHX'].map(
        (verb): Row => [verb, UNKNOWN],
      ),
      ['PROXY TCP4 192.0.2.1 192.0.2.2 1 2', UNKNOWN],
      ['constructor', UNKNOWN],
      ['AUTH', SYNTAX],
      ['AUTH PLAIN a b', SYNTAX],
      ['AUTH CRAM-MD5', /^504 5\.5\.4 /],
      ['AUTH XOAUTH2 eA==', /^504 5\.5\.4 /],
      ['AUTH PLAIN =', NOT_DECODED],
      ['AUTH PLAIN *', /^501 5\.7\.0 /],
      ['AUTH PLAIN AGFw!~aWtl', NOT_DECODED],
      ['AUTH PLAIN AGEAYg', NOT_DECODED, 'base64 without its padding'],
      ['AUTH PLAIN AGEAYh==', NOT_DECODED, 'base64 with bits to spare'],
      ['AUTH PLAIN AGEA=YgA=', NOT_DECODED],
      [`AUTH PLAIN ${base64('apikey')}`, NOT_DECODED, 'PLAIN without NUL'],
      [`AUTH PLAIN ${base64('\0a\0b\0c')}`, NOT_DECODED, 'PLAIN with three NUL'],
      [`AUTH PLAIN ${base64(Buffer.from([0, 0x61, 0, 0xff]))}`, NOT_DECODED, 'PLAIN that is not UTF-8'],
      [`AUTH PLAIN ${base64('\0\0')}`, BAD_LOGIN],
      [`AUTH PLAIN ${base64('root\0apikey\0x')}`, BAD_LOGIN],
      [`AUTH PLAIN ${base64('apikey\0\0x')}`, BAD_LOGIN],
      [`AUTH PLAIN ${'A'.repeat(13_000)}`, /^500 5\.5\.6 /],
      ['AUTH LOGIN', /^334 VXNlcm5hbWU6$/],
      ['AUTH PLAIN', /^334 $/],
      ['auth login', /^334 /],
      ['AUTH LOGIN =', /^334 UGFzc3dvcmQ6$/],
      [`AUTH LOGIN ${base64('apikey')}`, /^334 UGFzc3dvcmQ6$/],
      ['<login>', /^235 2\.7\.0 Authentication successful$/],
    ],
  ],
  [
    'authLogin',
    [
      ['*', /^501 5\.7\.0 /],
      [' *', NOT_DECODED],
      ['EHLO client.test', NOT_DECODED],
      ['%%%%', NOT_DECODED],
      ['A'.repeat(13_000), /^500 5\.5\.6 /],
    ],
  ],
  [
    'authPlain',
    [
      ['', NOT_DECODED],
      ['=', NOT_DECODED],
      ['*', /^501 5\.7\.0 /],
    ],
  ],
  [
    'login',
    [
      ['<login>', SEQUENCE],
      ['AUTH LOGIN', SEQUENCE],
      ['EHLO again.test', /^250-/],
      ['RCPT TO:<b@example.com>', SEQUENCE],
      ['DATA', SEQUENCE],
      ['MAIL', SYNTAX],
      ['MAIL TO:<a@example.com>', SYNTAX],
      ['MAIL FROM', SYNTAX],
      ['MAIL FROM <a@example.com>', SYNTAX],
      ['MAIL FROM:', BAD_SENDER],
      ['MAIL FROM:a@example.com', BAD_SENDER],
      ['MAIL FROM:<a@example.com', BAD_SENDER],
      ['MAIL FROM:<<a@example.com>>', BAD_SENDER],
      ['MAIL FROM:<a@example.com>>', BAD_SENDER],
      ['MAIL FROM:<a@example.com> x <b@example.com>', BAD_VALUE],
      ['MAIL FROM:<a@example.com>AUTH=<>', BAD_SENDER],
      ['MAIL FROM:<@relay.example:>', BAD_SENDER],
      ['MAIL FROM:< a@example.com>', BAD_SENDER],
      ['MAIL FROM:<a@example.com >', BAD_SENDER],
      ['MAIL FROM:<a\tb@example.com>', NOT_DECODED],
      ['MAIL FROM:<a@b@example.com>', BAD_SENDER],
      ['MAIL FROM:<a@exam_ple.com>', BAD_SENDER],
      ['MAIL FROM:<a@example-.com>', BAD_SENDER],
      ['MAIL FROM:<a@example.com.>', BAD_SENDER],
      ['MAIL FROM:<a@.example.com>', BAD_SENDER],
      ['MAIL FROM:<.a@example.com>', BAD_SENDER],
      ['MAIL FROM:<a.@example.com>', BAD_SENDER],
      ['MAIL FROM:<a..b@example.com>', BAD_SENDER],
      [`MAIL FROM:<${'a'.repeat(65)}@example.com>`, BAD_SENDER],
      [`MAIL FROM:<${'a'.repeat(64)}@example.com>`, OK],
      [`MAIL FROM:<a@${'b'.repeat(64)}.com>`, BAD_SENDER],
      [`MAIL FROM:<a@${'b'.repeat(63)}.com>`, OK],
      [`MAIL FROM:<a@${'bcd.'.repeat(62)}com>`, OK, 'a path of 255 octets with its brackets'],
      [`MAIL FROM:<aaaaaa@${'bcd.'.repeat(62)}com>`, BAD_SENDER, 'a path of more than 256 octets'],
      ['MAIL FROM:<a@[192.0.2.1]>', BAD_SENDER],
      ['MAIL FROM:<a@[IPv6:2001:db8::1]>', BAD_SENDER],
      ['MAIL FROM:<a@192.0.2.1>', BAD_SENDER],
      ['MAIL FROM:<a@localhost>', BAD_SENDER],
      ['MAIL FROM:<a>', BAD_SENDER],
      ['MAIL FROM:<a%b@example.com>', OK],
      ['MAIL FROM:<a!b@example.com>', OK],
      ['MAIL FROM:<"a b"@example.com>', OK],
      ['MAIL FROM:<"a>b"@example.com>', OK],
      ['MAIL FROM:<"a@b"@example.com>', OK],
      ['MAIL FROM:<"a\\"b"@example.com>', OK],
      ['MAIL FROM:<"a"b@example.com>', BAD_SENDER],
      ['MAIL FROM:<a(b)@example.com>', BAD_SENDER],
      ['MAIL FROM:<a,b@example.com>', BAD_SENDER],
      ['MAIL FROM:<a;b@example.com>', BAD_SENDER],
      ['MAIL FROM:<\u0436@example.com>', /^553 5\.6\.7 /],
      ['MAIL FROM:<a@\u0436.example>', /^553 5\.6\.7 /],
      ['MAIL FROM:<\u0436@example.com> SMTPUTF8', OK],
      ['MAIL FROM:<a\u202eb@example.com> SMTPUTF8', BAD_SENDER],
      ['MAIL FROM:<a@xn--80ak6aa92e.com>', OK],
      ['MAIL FROM:<>', OK],
      ['MAIL FROM: <a@example.com>', OK, 'a space behind the colon, as many clients send it'],
      ['mail from:<a@example.com> size=10 body=8bitmime', OK],
      ['MAIL FROM:<a@example.com>   ', OK],
      ['MAIL FROM:<@relay.example,@other.example:a@example.com>', OK],
      ['MAIL FROM:<a@example.com> SIZE=100000', OK],
      ['MAIL FROM:<a@example.com> SIZE=0', OK],
      ['MAIL FROM:<a@example.com> SIZE=100001', /^552 5\.3\.4 /],
      ['MAIL FROM:<a@example.com> SIZE=99999999999999999999', /^552 5\.3\.4 /],
      ['MAIL FROM:<a@example.com> SIZE=999999999999999999999', BAD_VALUE],
      ...[
        'SIZE=',
        'SIZE',
        'SIZE=-1',
        'SIZE=1e3',
        'SIZE=0x10',
        'BODY',
        'BODY=BINARYMIME',
        'BODY=9BIT',
        'SMTPUTF8=1',
      ].map((parameter): Row => [`MAIL FROM:<a@example.com> ${parameter}`, BAD_VALUE]),
      ...[
        'RET=',
        'RET=BODY',
        'ENVID=',
        'ENVID=a+g1',
        'ENVID=\u0436',
        'AUTH',
        'AUTH=',
        'AUTH=x',
        'AUTH=<a@b.c>',
        '=1',
      ].map((parameter): Row => [`MAIL FROM:<a@example.com> ${parameter}`, BAD_VALUE]),
      ...['AUTH=<>', 'AUTH=e+3Dmc2@example.com', 'auth=a@b.example', 'BODY=7BIT', 'RET=hdrs', 'ENVID=a+2Bb'].map(
        (parameter): Row => [`MAIL FROM:<a@example.com> ${parameter}`, OK],
      ),
      ...[
        'FOO',
        'FOO=bar',
        'REQUIRETLS',
        'HOLDFOR=10',
        'BY=1;R',
        'MT-PRIORITY=3',
        'NOTIFY=NEVER',
        'ORCPT=rfc822;a',
      ].map((parameter): Row => [`MAIL FROM:<a@example.com> ${parameter}`, UNKNOWN_PARAMETER]),
      ['MAIL FROM:<a@example.com> SIZE=1 size=1', /^501 5\.5\.4 Parameter given twice: SIZE$/],
      ['MAIL FROM:<a@example.com> SMTPUTF8 SMTPUTF8', /^501 5\.5\.4 /],
      [`MAIL FROM:<a@example.com> ENVID=${'x'.repeat(2100)}`, TOO_LONG],
    ],
  ],
  [
    'mail',
    [
      ['MAIL FROM:<b@example.com>', SEQUENCE],
      ['DATA', SEQUENCE],
      ['<login>', SEQUENCE],
      ['RCPT', SYNTAX],
      ['RCPT FROM:<b@example.com>', SYNTAX],
      ['RCPT TO:<>', BAD_RECIPIENT],
      ['RCPT TO:<postmaster>', /^501 5\.1\.3 .*fully qualified/],
      ['RCPT TO:<b@localhost>', BAD_RECIPIENT],
      ['RCPT TO:<b@2130706433>', BAD_RECIPIENT],
      ['RCPT TO:<b@0x7f.0.0.1>', BAD_RECIPIENT],
      ['RCPT TO:<b@example.0x7f>', BAD_RECIPIENT],
      ['RCPT TO:<b@[169.254.169.254]>', BAD_RECIPIENT],
      ['RCPT TO:<b@example.com', BAD_RECIPIENT],
      ['RCPT TO:<b@example.com> <c@example.com>', BAD_VALUE],
      ['RCPT TO:<b@example.com>,<c@example.com>', BAD_RECIPIENT],
      ['RCPT TO:<\u0436@example.com>', /^553 5\.6\.7 /],
      ['RCPT TO:<b@example.com> RET=FULL', UNKNOWN_PARAMETER],
      ['RCPT TO:<b@example.com> SIZE=1', UNKNOWN_PARAMETER],
      ['RCPT TO:<b@example.com> NOTIFY=NEVER,FAILURE', BAD_VALUE],
      ['RCPT TO:<b@example.com> NOTIFY=', BAD_VALUE],
      ['RCPT TO:<b@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.com', OK],
      ['RCPT TO:<"b c"@example.com>', OK],
      ['rcpt to:<b@example.com>', OK],
    ],
  ],
  [
    'utf8',
    [
      ['RCPT TO:<\u0436@\u0436.example>', OK],
      ['RCPT TO:<\u0436@\u0436\u3002example>', BAD_RECIPIENT, 'a full stop of another script'],
      ['RCPT TO:<a\u200bb@example.com>', BAD_RECIPIENT, 'a space that nobody sees'],
    ],
  ],
  [
    'helo',
    [
      ['MAIL FROM:<a@example.com>', OK],
      ['MAIL FROM:<a@example.com> SIZE=1', UNKNOWN_PARAMETER],
    ],
  ],
  [
    'rcpt',
    [
      ['DATA', /^354 [^\n]*$/],
      ['DATA  ', /^354 /],
      ['MAIL FROM:<a@example.com>', SEQUENCE],
      ['RCPT TO:<b@example.com>', OK],
      ['STARTTLS', /^220 2\.0\.0 /],
    ],
  ],
];

describe.each(rows)('after %s', (state, list) => {
  test.each(list.map(([sent, reply, name]) => [name ?? sent.slice(0, 80), sent, reply] as const))(
    '%s',
    async (_name, sent, expected) => {
      const { reply, dialogue } = await replyTo(AT[state], sent);
      expect(reply).toMatch(expected);
      for (const line of reply.split('\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(510);
      if (reply.startsWith('421')) await dialogue.closed;
      await dialogue.close();
    },
  );
});

describe('octets that are no text', () => {
  test.each<[string, Buffer, RegExp]>([
    ['a sender that is not UTF-8', Buffer.from('MAIL FROM:<\xff@example.com> SMTPUTF8\r\n', 'latin1'), BAD_SENDER],
    ['a bare LF', Buffer.from('NOOP\nNOOP\r\n'), /^421 4\.7\.0 .*CRLF/],
    ['a bare CR', Buffer.from('NOOP\rNOOP\r\n'), /^421 4\.7\.0 .*CRLF/],
    ['a NUL', Buffer.from('NOOP\0\r\n'), /^421 4\.7\.0 .*CRLF/],
    ['a recipient behind a bare CR', Buffer.from('MAIL FROM:<a@b.test>\rRCPT TO:<c@d.test>\r\n'), /^421 /],
  ])('%s', async (_name, octets, expected) => {
    const dialogue = await worker.logIn(key);
    dialogue.send(octets);
    const reply = await dialogue.reply();
    expect(reply).toMatch(expected);
    if (reply.startsWith('421')) await dialogue.closed;
    await dialogue.close();
  });
});
