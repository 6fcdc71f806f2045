// POST /v3/mail/send: a request that is right, with one to three of its values changed. It is answered with 202 or with
// errors in the right shape, and what was accepted parses back to what was sent.
import type { AddressObject } from 'mailparser';
import { scanHeader } from '../../../src/message/header-block.js';
import { call, kept, type HttpAnswer, type Json } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';
import { fc, runs } from '../../support/properties.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

const valid = (): Json => ({
  personalizations: [
    {
      to: [{ email: 'you@example.com', name: 'You' }],
      cc: [{ email: 'cc@example.com', name: 'Copy' }],
      bcc: [{ email: 'hidden@example.com' }],
      subject: 'For you',
      headers: { 'X-Own': 'own' },
      custom_args: { own: '1' },
      send_at: 1,
    },
  ],
  from: { email: 'app@example.com', name: 'The App' },
  reply_to: { email: 'help@example.com', name: 'Help' },
  subject: 'Hello',
  content: [
    { type: 'text/plain', value: 'It works.' },
    { type: 'text/html', value: '<b>It works.</b>' },
  ],
  attachments: [
    { content: 'b2N0ZXRz', filename: 'a.png', type: 'image/png', disposition: 'inline', content_id: 'first' },
    { content: 'bW9yZQ==', filename: 'b.bin' },
  ],
  headers: { 'X-Shared': 'shared' },
  categories: ['one'],
  custom_args: { shared: '2' },
});

type Path = (string | number)[];

/** Every place in a value, its containers too. */
function places(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, each]) => places(each, [...path, name]))];
}

const ENDS = ['\r\n', '\n', '\r', '\0', '\u0085', '\u2028', '\u2029', '\u000b', '\ud800', '\u202e', '\ufeff'];
const value = fc.oneof(
  fc
    .tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom(...ENDS))
    .map(([a, end]) => `${a}${end}X-Evil: 1`),
  fc.string({ unit: 'binary' }).map((text) => text.replaceAll('=?', '==')),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', ' ', 'x'.repeat(1000), 'ä'.repeat(1000), `${'word '.repeat(300)}end`, '"a" <b>, c', '%0d%0a'),
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 9_007_199_254_740_991, 1.5, [], {}, [[]], [null], { '': '' }),
  fc.emailAddress(),
  fc.jsonValue({ maxDepth: 2 }),
);
const mutation = fc.record({
  at: fc.constantFrom(...places(valid()).filter((path) => path.length > 0)),
  value,
  how: fc.constantFrom('replace', 'replace', 'replace', 'remove', 'beside', 'as name'),
});

function mutate(body: Json, { at, value, how }: { at: Path; value: unknown; how: string }): void {
  const last = at.at(-1)!;
  const parent = at.slice(0, -1).reduce<unknown>((inner, name) => (inner as Json | null | undefined)?.[name], body);
  if (typeof parent !== 'object' || parent === null) return;
  const members = parent as Json;
  if (how === 'remove') delete members[last];
  else if (how === 'beside' && Array.isArray(parent)) parent.push(value);
  else if (how === 'as name' && !Array.isArray(parent)) members[String(value)] = members[last];
  else members[last] = value;
}

const bodies = fc.array(mutation, { minLength: 1, maxLength: 3 }).map((mutations) => {
  const body = valid();
  for (const each of mutations) mutate(body, each);
  return body;
});

interface Request {
  personalizations: {
    from?: Mailbox | null;
    to: Mailbox[];
    cc?: Mailbox[] | null;
    subject?: string | null;
    headers?: Record<string, string> | null;
  }[];
  from: Mailbox;
  reply_to?: Mailbox | null;
  subject?: string | null;
  content: { type: string; value: string }[];
  attachments?: { content: string; filename: string; type?: string | null; disposition?: string | null }[] | null;
  headers?: Record<string, string> | null;
}
type Mailbox = { email: string; name?: string | null };

/** A header field is one line: blanks are all alike, and what cannot be seen is one. */
const oneLine = (text: string): string =>
  text
    .replace(/\p{Surrogate}/gu, '\uFFFD')
    .replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
const lines = (text: string): string =>
  text
    .replace(/\p{Surrogate}/gu, '\uFFFD')
    .replace(/\r\n|\r/g, '\n')
    .trimEnd();
const shown = (mailboxes: Mailbox[]) =>
  mailboxes.map(({ email, name }) => [email.trim().toLowerCase(), oneLine(name ?? '')]);
const read = (field: AddressObject | AddressObject[] | undefined) =>
  [field ?? []]
    .flat()
    .flatMap(({ value }) => value.map(({ address, name }) => [address!.toLowerCase(), oneLine(name)]));

const OURS = [
  ...['received', 'message-id', 'date', 'from', 'to', 'cc', 'reply-to', 'subject', 'mime-version', 'content-type'],
  ...['content-transfer-encoding', 'content-disposition', 'content-id'],
];

/** What came out of the message that was made, against what went in. */
async function holdAgainst(request: Request, answer: HttpAnswer): Promise<void> {
  const { parsed, raw } = await kept(worker, answer.headers.get('x-message-id')!);
  const [own] = request.personalizations;
  expect(read(parsed.from)).toEqual(shown([own!.from ?? request.from]));
  expect(read(parsed.to)).toEqual(shown(own!.to));
  expect(read(parsed.cc)).toEqual(shown(own!.cc ?? []));
  if (request.reply_to) expect(read(parsed.replyTo)).toEqual(shown([request.reply_to]));
  expect(oneLine(parsed.subject ?? '')).toBe(oneLine(own!.subject ?? request.subject ?? ''));
  const headers = { ...request.headers, ...own!.headers };
  const names = scanHeader(Buffer.from(raw, 'latin1')).fields.map(({ name }) => name);
  const asked = Object.keys(headers).map((name) => name.toLowerCase());
  expect(names.filter((name) => !OURS.includes(name) && !asked.includes(name))).toEqual([]);
  // A text that stands inline is no file to those who read it.
  const given = (request.attachments ?? []).filter(
    ({ type, disposition }) => type === 'image/png' || disposition !== 'inline',
  );
  const attached = given.map(({ content, filename }) => [
    oneLine(filename),
    Buffer.from(content, 'base64').toString('hex'),
  ]);
  const files = parsed.attachments.map(({ filename, content }) => [oneLine(filename ?? ''), content.toString('hex')]);
  expect(files).toEqual(expect.arrayContaining(attached));
  const texts = request.content.filter(({ type }) => type.toLowerCase() === 'text/plain');
  if (texts.length === 1) expect(lines(parsed.text ?? '')).toBe(lines(texts[0]!.value));
}

it('is answered with 202, and then comes back as it was meant, or with errors in the right shape', async () => {
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const answer = await call(worker, '/v3/mail/send', { key, body: JSON.stringify(body) });
      if (answer.status === 202) return holdAgainst(JSON.parse(JSON.stringify(body)) as Request, answer);
      expect([400, 413]).toContain(answer.status);
      const { errors } = answer.json as { errors: { message: string }[] };
      expect(errors.length).toBeGreaterThan(0);
      for (const { message } of errors) expect(message).toMatch(/\S/);
    }),
    runs(250),
  );
});

it('leaves an encoded word as its client wrote it, and makes no line of what is in it', async () => {
  const word = '=?utf-8?q?=0d=0aX-Evil:_1?=';
  const body = valid();
  Object.assign(body, { from: { email: 'app@example.com', name: word }, headers: { 'X-Shared': word } });
  (body.personalizations as Json[])[0]!.subject = word;
  const answer = await call(worker, '/v3/mail/send', { key, body: JSON.stringify(body) });
  const { raw } = await kept(worker, answer.headers.get('x-message-id')!);
  const { fields } = scanHeader(Buffer.from(raw, 'latin1'));
  for (const line of [`From: "${word}" <app@example.com>`, `Subject: ${word}`, `X-Shared: ${word}`]) {
    expect(raw.split('\r\n')).toContain(line);
  }
  expect(fields.map(({ name }) => name)).not.toContain('x-evil');
});
