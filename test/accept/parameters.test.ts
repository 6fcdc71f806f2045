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
  ['MAIL FROM a@example.com', 'bad-sender-syntax'],
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
  ['MAIL FROM:<a@example.com> RET=FULL', 'unknown-parameter'],
  ['MAIL FROM:<a@example.com> AUTH=<>', 'unknown-parameter'],
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
  ['RCPT TO:<postmaster>', 'bad-recipient-syntax'],
  ['RCPT TO:<a@localhost>', 'bad-recipient-domain'],
  ['RCPT TO:<a@b.test NOTIFY=NEVER>', 'bad-recipient-syntax'],
  ['RCPT TO:<a@b.test> NOTIFY=NEVER', 'unknown-parameter'],
  ['RCPT TO:<a@b.test> ORCPT=rfc822;a@b.test', 'unknown-parameter'],
])('%s is refused as %s', (line, why) => {
  expect(reason(readRcpt(line, false))).toBe(why);
});

test('SIZE, BODY and SMTPUTF8 are read', () => {
  expect(readMail('MAIL FROM:<a@example.com> size=123 BODY=8bitmime SMTPUTF8')).toMatchObject({
    ...{ size: 123, bodyType: '8BITMIME', smtpUtf8: true },
  });
});
