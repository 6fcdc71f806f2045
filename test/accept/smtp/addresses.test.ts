// What is sent in MAIL and RCPT, and the reply to it: addresses and parameters as RFC 5321 4.1.2, 1870, 6152, 6531, 3461
// and 4954 5 have them, right and wrong.
import { testTable, type Row, type Table } from '../../support/smtp-table.js';
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
const BAD_RECIPIENT = /^501 5\.1\.3 /;
const BAD_VALUE = /^501 5\.5\.4 Bad value /;
const UNKNOWN_PARAMETER = /^555 5\.5\.4 /;
const SEQUENCE = /^503 5\.5\.1 /;
const TOO_LONG = /^500 5\.5\.2 Line too long$/;
const NOT_DECODED = /^501 5\.5\.2 /;

const table: Table = [
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
];

testTable(table, () => ({ worker, key }));
