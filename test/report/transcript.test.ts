// Redaction and bounds of transcripts: whatever a client sends where, nothing of a secret is kept.
import { randomBytes } from 'node:crypto';
import { describeCredentials } from '../../src/authenticate/login-words.js';
import { makeKey } from '../../src/keys/shape.js';
import { commandText, redact, TranscriptLines } from '../../src/report/transcript.js';

const key = (): string => makeKey('SG', (size) => randomBytes(size)).text;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What a line comes out as. */
const told = (line: string): string => redact(commandText(line));

/** Stretches of 8 characters of `secret` that are in `text`. */
function leaks(secret: string, text: string): string[] {
  const stretches = Array.from({ length: secret.length - 7 }, (_, at) => secret.slice(at, at + 8));
  return stretches.filter((stretch) => text.includes(stretch));
}

const misuses = [
  (secret: string) => `AUTH PLAIN ${base64(`\0apikey\0${secret}`)}`,
  (secret: string) => `auth login ${base64(secret)}`,
  (secret: string) => `AUTH ${secret}`,
  (secret: string) => `AUTH  PLAIN  ${secret}`,
  (secret: string) => `AUTH\tPLAIN ${secret}`,
  (secret: string) => secret,
  (secret: string) => base64(secret),
  (secret: string) => `NOOP ${secret}`,
  (secret: string) => `QUIT ${secret}`,
  (secret: string) => `MAIL ${secret}`,
  (secret: string) => `Password: ${secret}`,
  (secret: string) => `EHLO SG.${'a'.repeat(21)}A.${secret}`,
  (secret: string) => `MAIL FROM:<SG.${'a'.repeat(21)}A.${secret}@example.com>`,
  (secret: string) => `RCPT TO:<${base64(secret)}@example.com>`,
];

test('no eight characters of a secret are left of any line that a client may put it in', () => {
  for (let round = 0; round < 50; round++) {
    const secret = key().split('.')[2]!;
    for (const misuse of misuses) {
      const text = told(misuse(secret));
      expect([text, leaks(secret, text), leaks(base64(secret), text)]).toEqual([text, [], []]);
    }
  }
});

test('what tells nothing of a secret is told as it was', () => {
  for (const line of ['EHLO ip-10-0-0-1-billing-7d9f8b6c5d-worker.example.com', 'STARTTLS', 'AUTH LOGIN']) {
    expect(told(line)).toBe(line);
  }
  expect(told('MAIL FROM:<app@example.com> SIZE=100')).toBe('MAIL FROM:<app@example.com> SIZE=100');
  expect(told('AUTH PLAIN AGFwaWtleQB4')).toBe('AUTH PLAIN [redacted]');
  expect(told('Dear Sir or Madam')).toBe('[not a command, 17 characters]');
});

test('controls are replaced, and long lines are cut', () => {
  expect(told('EHLO a\u001B[31m\u202Eb')).toBe('EHLO a?[31m?b');
  expect(told(`RCPT TO:<${'a.'.repeat(200)}@example.com>`)).toHaveLength(200);
});

test('the first 40 lines and the last 20 are kept, with the time of each and the number of the others', () => {
  const lines = new TranscriptLines(1000);
  for (let at = 0; at < 100; at++) lines.add(1000 + at, `line ${at}`);
  const kept = lines.finish();
  expect(kept.omitted).toBe(40);
  expect(kept.lines.map(({ at }) => at)).toEqual([...Array(40).keys(), ...[...Array(20).keys()].map((at) => at + 80)]);
  expect(kept.lines.at(-1)).toEqual({ at: 99, text: 'line 99' });
});

test('credentials are described in words that say what is wrong and give nothing of them away', () => {
  const good = key();
  const words = (username: string, password: string): string => {
    const text = describeCredentials({ username, password }, 'SG').join('; ');
    expect([text, leaks(good, text), leaks(base64(good), text)]).toEqual([text, [], []]);
    return text;
  };
  expect(words('apikey', good)).toMatch(
    /exactly apikey, as it must be; .*69 characters, begins with SG\., checksum right$/,
  );
  expect(words('ApiKey ', good)).toMatch(/not exactly apikey, 7 characters, with a trailing blank; only blanks or cap/);
  expect(words(good, 'apikey')).toContain('it is a key: it belongs into the password');
  expect(words('apikey', `${good}\n`)).toMatch(
    /70 characters.*wrong, with a trailing newline; without blanks .* is a key/,
  );
  expect(words('apikey', base64(good))).toContain(
    'does not begin with SG., checksum wrong; it is a key in base64 once',
  );
  expect(words('apikey', good.slice(0, 60))).toMatch(/60 characters, begins with SG\., checksum wrong; a key has 69/);
  expect(words('apikey', '')).toMatch(/password: empty$/);
});
