import { readMail, readRcpt } from '../../src/accept/smtp/parameters.js';
import { Refusal } from '../../src/message/refusal.js';

const reason = (result: unknown): string => (result instanceof Refusal ? result.reason : 'accepted');

test.each([
  ['MAIL FROM:<a@example.com>', 'a@example.com'],
  ['mail from: <a@example.com>', 'a@example.com'],
  ['MAIL FROM:<>', undefined],
  ['MAIL FROM:<@relay.example,@other.example:a@example.com>', 'a@example.com'],
  ['MAIL FROM:<"a b"@example.com>', '"a b"@example.com'],
  ['MAIL FROM:<"a>b\\"c@d"@example.com> SIZE=10', '"a>b\\"c@d"@example.com'],
  ['MAIL FROM:<A@EXAMPLE.COM>', 'A@EXAMPLE.COM'],
  ['MAIL FROM:<a@xn--80ak6aa92e.com>', 'a@xn--80ak6aa92e.com'],
  ['MAIL FROM:<ж@пример.рф> SMTPUTF8', 'ж@пример.рф'],
])('%s is taken as it stands', (line, text) => {
  const mail = readMail(line);
  expect(reason(mail)).toBe('accepted');
  expect((mail as { address?: { text: string } }).address?.text).toBe(text);
});

test.each([
  ['MAIL FROM a@example.com', 'bad-arguments'],
  ['MAIL FROM:a@example.com', 'bad-sender-syntax'],
  ['MAIL FROM:<a@example.com', 'bad-sender-syntax'],
  ['MAIL FROM:<a,b@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<x:y@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a(b)@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<"a@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a b@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a..b@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<.a@example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a@-example.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a@example..com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a@exa_mple.com>', 'bad-sender-syntax'],
  ['MAIL FROM:<a@example.com.>', 'bad-sender-syntax'],
  [`MAIL FROM:<${'a'.repeat(65)}@example.com>`, 'bad-sender-syntax'],
  [`MAIL FROM:<a@${'b'.repeat(64)}.com>`, 'bad-sender-syntax'],
  ['MAIL FROM:<a@[127.0.0.1]>', 'bad-sender-domain'],
  ['MAIL FROM:<a@[IPv6:::1]>', 'bad-sender-domain'],
  ['MAIL FROM:<a@localhost>', 'bad-sender-domain'],
  ['MAIL FROM:<a@127.0.0.1>', 'bad-sender-domain'],
  ['MAIL FROM:<a@2130706433>', 'bad-sender-domain'],
  ['MAIL FROM:<a@example.0x7f>', 'bad-sender-domain'],
  ['MAIL FROM:<ж@example.com>', 'non-ascii-address'],
  ['MAIL FROM:<a@example.com> XFOO=bar', 'unknown-parameter'],
  ['MAIL FROM:<a@example.com> REQUIRETLS', 'unknown-parameter'],
  ['MAIL FROM:<a@example.com> NOTIFY=NEVER', 'unknown-parameter'],
  ['MAIL FROM:<a@example.com> RET', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> RET=ALL', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> RET=FULL RET=HDRS', 'repeated-parameter'],
  ['MAIL FROM:<a@example.com> ENVID', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> ENVID=a+zz', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> ENVID=a+2b', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> ENVID=a+', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> ENVID=a+0D+0AX-Evil', 'bad-parameter'],
  [`MAIL FROM:<a@example.com> ENVID=${'x'.repeat(101)}`, 'bad-parameter'],
  ['MAIL FROM:<a@example.com> AUTH=<a@example.com>', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> SIZE=1 SIZE=2', 'repeated-parameter'],
  ['MAIL FROM:<a@example.com> SIZE=x', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> SIZE', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> BODY=BINARYMIME', 'bad-parameter'],
  ['MAIL FROM:<a@example.com> SMTPUTF8=yes', 'bad-parameter'],
  ['MAIL FROM:<a@example.com>SIZE=1', 'bad-sender-syntax'],
])('%s is refused as %s', (line, why) => {
  expect(reason(readMail(line))).toBe(why);
});

test.each([
  ['RCPT TO:<>', 'bad-recipient-syntax'],
  ['RCPT TO:<postmaster>', 'bad-recipient-domain'],
  ['RCPT TO:<a@localhost>', 'bad-recipient-domain'],
  ['RCPT TO:<a@b.test NOTIFY=NEVER>', 'bad-recipient-syntax'],
  ['RCPT TO:<a@b.test> RET=FULL', 'unknown-parameter'],
  ['RCPT TO:<a@b.test> NOTIFY', 'bad-parameter'],
  ['RCPT TO:<a@b.test> NOTIFY=NEVER,SUCCESS', 'bad-parameter'],
  ['RCPT TO:<a@b.test> NOTIFY=SUCCESS,SUCCESS', 'bad-parameter'],
  ['RCPT TO:<a@b.test> NOTIFY=SUCCESS,', 'bad-parameter'],
  ['RCPT TO:<a@b.test> NOTIFY=ALWAYS', 'bad-parameter'],
  ['RCPT TO:<a@b.test> NOTIFY=NEVER NOTIFY=NEVER', 'repeated-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=a@b.test', 'bad-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=;a@b.test', 'bad-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=rfc822;', 'bad-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=rfc822;a+0D+0AX@b.test', 'bad-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=rfc822;a+7F@b.test', 'bad-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=utf-8;\u0436@b.test', 'bad-parameter'],
  [`RCPT TO:<a@b.test> ORCPT=rfc822;${'x'.repeat(500)}`, 'bad-parameter'],
])('%s is refused as %s', (line, why) => {
  expect(reason(readRcpt(line, false))).toBe(why);
});

test('NOTIFY and ORCPT are read, and characters beyond ASCII become the form that needs no SMTPUTF8', () => {
  const rcpt = 'RCPT TO:<a@b.test>';
  expect(readRcpt(`${rcpt} notify=Delay,success orcpt=x400;/S+3Dab/`, false)).toMatchObject({
    dsn: { notify: ['DELAY', 'SUCCESS'], orcpt: { type: 'x400', address: '/S=ab/' } },
  });
  expect(readRcpt(`${rcpt} NOTIFY=never`, false)).toMatchObject({ dsn: { notify: [] } });
  expect(readRcpt(`${rcpt} ORCPT=utf-8;\u0436@b.test`, true)).toMatchObject({
    dsn: { orcpt: { type: 'utf-8', address: '\\x{436}@b.test' } },
  });
});

test('SIZE, BODY and SMTPUTF8 are read', () => {
  expect(readMail('MAIL FROM:<a@example.com> size=123 BODY=8bitmime SMTPUTF8')).toMatchObject({
    ...{ size: 123, bodyType: '8BITMIME', smtpUtf8: true },
  });
});
