// Promise 2: nothing is accepted without a verified key that holds mail.send, at any point of a session.
import { ask } from '../support/contract.js';
import { mail } from '../support/http-send.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';
import { fc, runs } from '../support/properties.js';

let worker: TestWorker;

beforeAll(async () => {
  // No guard: what is asked here is whether any of a thousand wrong logins succeeds.
  const unguarded = { POSTERN_AUTH_MAX_FAILURES_PER_ADDRESS: '0', POSTERN_AUTH_MAX_FAILURES_PER_NETWORK: '0' };
  const env = { POSTERN_SMTP_MAX_ERRORS: '1000', POSTERN_SMTP_MAX_AUTH_FAILURES: '1000', ...unguarded };
  worker = await startTestWorker({ env });
});
afterAll(() => worker.stop());

async function nothingIsKept(): Promise<void> {
  expect(await worker.desk.list(10)).toEqual([]);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('MAIL, RCPT and DATA are refused before AUTH, in every order', async () => {
  const dialogue = await openDialogue(worker.port);
  expect(await dialogue.line('MAIL FROM:<a@example.com>')).toMatch(/^503 /);
  await dialogue.ehlo();
  for (const line of [
    'MAIL FROM:<a@example.com>',
    'RCPT TO:<b@example.com>',
    'DATA',
    'RCPT TO:<b@example.com>',
    'DATA',
  ]) {
    expect(await dialogue.line(line)).toBe('530 5.7.0 Authentication required');
  }
  await nothingIsKept();
  await dialogue.close();
});

test('a key without mail.send may not send, whatever else it holds', async () => {
  const { key } = await worker.mint({ scopes: ['api_keys.create', 'messages.read', 'stats.read'] });
  const dialogue = await openDialogue(worker.port);
  await dialogue.ehlo();
  expect(await dialogue.authPlain('apikey', key)).toBe(
    '535 5.7.8 Authentication failed: Authenticated user is not authorized to send mail',
  );
  expect(await dialogue.line('MAIL FROM:<a@example.com>')).toBe('530 5.7.0 Authentication required');
  await nothingIsKept();
  await dialogue.close();
});

test.each(['/v3/mail/send', '/api/mail.send.json', '/api/mail.send.xml'])(
  'over HTTP %s takes nothing without a key, with one that is none, or with one without mail.send',
  async (path) => {
    const { key } = await worker.mint({ scopes: ['api_keys.create', 'messages.read', 'stats.read'] });
    const [good, other] = [await worker.mint(), await worker.mint()];
    await worker.keys.update(other.id, { revokedAt: Date.now() });
    const form = { to: 'you@example.com', from: 'app@example.com', subject: 'x', text: 'x' };
    const isForm = path.startsWith('/api/');
    const send = async (headers: Record<string, string>, user: Record<string, string> = {}) => {
      const body = isForm ? new URLSearchParams({ ...form, ...user }).toString() : JSON.stringify(mail());
      const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
      return (await ask(worker.httpUrl, path, { method: 'POST', body, headers: { 'content-type': type, ...headers } }))
        .status;
    };
    const credentials = [key, other.key, `${good.key}x`, good.key.slice(0, -1), good.key.toLowerCase(), '', 'null'];
    for (const each of credentials) {
      const basic = { authorization: `Basic ${base64(`apikey:${each}`)}` };
      for (const headers of [{ authorization: `Bearer ${each}` }, basic, { 'x-api-key': each }]) {
        expect([each.slice(0, 3), [400, 401, 403]]).toEqual([
          each.slice(0, 3),
          expect.arrayContaining([await send(headers)]),
        ]);
      }
      if (isForm) expect([400, 401, 403]).toContain(await send({}, { api_user: 'apikey', api_key: each }));
    }
    expect([400, 401]).toContain(await send({ authorization: `Basic ${base64(`root:${good.key}`)}` }));
    await nothingIsKept();
  },
);

test('what was authenticated in the clear is forgotten at STARTTLS', async () => {
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  expect(await dialogue.line('MAIL FROM:<a@example.com>')).toMatch(/^250 /);
  await dialogue.startTls();
  expect(await dialogue.line('RCPT TO:<b@example.com>')).toMatch(/^503 /);
  await dialogue.ehlo();
  expect(await dialogue.line('RCPT TO:<b@example.com>')).toBe('530 5.7.0 Authentication required');
  await nothingIsKept();
  await dialogue.close();
});

test('no key that differs from a real one in a single character is accepted', async () => {
  const { key } = await worker.mint();
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
  const mutation = fc.record({ at: fc.nat(key.length - 1), to: fc.constantFrom(...alphabet) });
  await fc.assert(
    fc.asyncProperty(mutation, async ({ at, to }) => {
      const wrong = key.slice(0, at) + to + key.slice(at + 1);
      fc.pre(wrong !== key);
      const dialogue = await openDialogue(worker.port);
      await dialogue.ehlo();
      expect(await dialogue.line(`AUTH PLAIN ${base64(`\0apikey\0${wrong}`)}`)).toMatch(
        /^535 5\.7\.8 Authentication failed: Bad/,
      );
      await dialogue.close();
    }),
    runs(200),
  );
});

test('random dialogues without a key never reach a message', async () => {
  const { key } = await worker.mint({ scopes: ['stats.read'] });
  const line = fc.constantFrom(
    ...[
      'EHLO a',
      'HELO a',
      'MAIL FROM:<a@example.com>',
      'MAIL FROM:<>',
      'RCPT TO:<b@example.com>',
      'DATA',
      'RSET',
      'NOOP',
    ],
    ...[
      '.',
      'Subject: x',
      '',
      'AUTH LOGIN',
      base64('apikey'),
      base64(key),
      'AUTH PLAIN',
      base64(`\0apikey\0${key}`),
      '*',
    ],
    ...[
      `AUTH PLAIN ${base64(`\0apikey\0${key}`)}`,
      `AUTH PLAIN ${base64(`apikey\0apikey\0`)}`,
      'AUTH PLAIN =',
      'BDAT 1 LAST',
    ],
  );
  const talk = async (dialogue: Dialogue, lines: string[]): Promise<string[]> => {
    const replies: string[] = [];
    for (const text of lines) replies.push(await dialogue.line(text));
    return replies;
  };
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 12 }), async (lines) => {
      const dialogue = await openDialogue(worker.port);
      const replies = await talk(dialogue, lines);
      await dialogue.close();
      expect(replies.filter((reply) => /^(235|354|250 2\.[16])/.test(reply))).toEqual([]);
    }),
    runs(150),
  );
  await nothingIsKept();
});
