// What is sent, and the reply to it: RFC 5321, 6409, 4954, 4616, 3207, 1870, 6152, 6531, 3461 and 2034, a row for each
// rule that clients or attackers put to the test. Each row has a connection of its own; its last line is the one judged.
import { base64, testTable, type Row, type Table } from '../../support/smtp-table.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;

beforeAll(async () => {
  worker = await startTestWorker({ env: { POSTERN_SMTP_MAX_MESSAGE_BYTES: '100000' } });
  key = (await worker.mint()).key;
});
afterAll(() => worker.stop());

const OK = /^250 2\.1\.[05] Ok$/;
const SYNTAX = /^501 5\.5\.4 Syntax: /;
const BAD_SENDER = /^501 5\.1\.7 /;
const UNKNOWN_PARAMETER = /^555 5\.5\.4 /;
const SEQUENCE = /^503 5\.5\.1 /;
const UNKNOWN = /^500 5\.5\.2 Command not recognized$/;
const TOO_LONG = /^500 5\.5\.2 Line too long$/;
const NOT_DECODED = /^501 5\.5\.2 /;
const BAD_LOGIN = /^535 5\.7\.8 Authentication failed: Bad username/;

const table: Table = [
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

testTable(table, () => ({ worker, key }));

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
