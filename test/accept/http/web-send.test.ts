// The call of SendGrid's old API, as old clients make it: forms of both kinds, x-smtpapi, and plain errors.
import { call, kept, type HttpAnswer } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

type Pairs = [name: string, value: string][];

const mail: Pairs = [
  ['to', 'you@example.com'],
  ['from', 'app@example.com'],
  ['subject', 'Hello'],
  ['text', 'It works.'],
];

const without = (name: string): Pairs => mail.filter(([each]) => each !== name);

function post(pairs: Pairs, options: { path?: string; bearer?: string; query?: string } = {}): Promise<HttpAnswer> {
  const { path = '/api/mail.send.json', bearer, query = '' } = options;
  return call(worker, path + query, {
    ...(bearer ? { key: bearer } : {}),
    body: new URLSearchParams(pairs).toString(),
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  });
}

const keptOf = (answer: HttpAnswer) => kept(worker, answer.headers.get('x-message-id')!);

it.each([
  ['a Bearer key', () => post(mail, { bearer: key })],
  ['api_user and api_key in the form', () => post([...mail, ['api_user', 'apikey'], ['api_key', key]])],
  ['api_key with any user', () => post([...mail, ['api_user', 'me'], ['api_key', key]])],
])('takes %s', async (_name, send) => {
  const answer = await send();

  expect([answer.status, answer.json]).toEqual([200, { message: 'success' }]);
  expect((await keptOf(answer)).parsed).toMatchObject({ subject: 'Hello', text: 'It works.\n' });
});

it('answers in XML', async () => {
  const good = await post(mail, { bearer: key, path: '/api/mail.send.xml' });
  const bad = await post([...without('to'), ['cc', 'a<b']], { bearer: key, path: '/api/mail.send.xml' });

  expect([good.status, good.headers.get('content-type')]).toEqual([200, 'application/xml; charset=utf-8']);
  expect(good.text).toContain('<result><message>success</message></result>');
  expect(bad.status).toBe(400);
  expect(bad.text).toContain(
    '<result><message>error</message><errors><error>Missing destination email</error></errors></result>',
  );
});

it('takes every field, in an urlencoded form', async () => {
  const answer = await post(
    [
      ...([
        ['to[]', 'one@example.com'],
        ['to[]', 'two@example.com'],
        ['to[]', 'ONE@example.com'],
      ] as Pairs),
      ...([
        ['toname[]', 'Zoë'],
        ['toname[]', 'Two'],
      ] as Pairs),
      ...([
        ['cc', 'three@example.com'],
        ['ccname', 'Three'],
        ['bcc[0]', 'hidden@example.com'],
      ] as Pairs),
      ...([
        ['from', 'app@example.com'],
        ['fromname', 'The App'],
        ['replyto', 'Help <help@example.com>'],
      ] as Pairs),
      ...([
        ['subject', 'Grüße'],
        ['text', 'plain'],
        ['html', '<b>ä</b>'],
      ] as Pairs),
      ...([
        ['headers', '{"X-Own":"1"}'],
        ['date', 'Wed, 01 Jan 2025 10:00:00 +0000'],
      ] as Pairs),
      ...([
        ['files[a.txt]', 'ä'],
        ['x-smtpapi', '[]'],
      ] as Pairs),
    ],
    { bearer: key },
  );
  const { parsed, to, raw } = await keptOf(answer);

  expect(answer.status).toBe(200);
  expect(to).toEqual(['one@example.com', 'two@example.com', 'three@example.com', 'hidden@example.com']);
  expect([parsed.to].flat()[0]!.value.map(({ name }) => name)).toEqual(['Zoë', 'Two']);
  expect(parsed).toMatchObject({ subject: 'Grüße', text: 'plain', html: '<b>ä</b>' });
  expect(parsed.date).toEqual(new Date('2025-01-01T10:00:00Z'));
  expect(parsed.replyTo!.text).toBe('"Help" <help@example.com>');
  expect(parsed.headers.get('x-own')).toBe('1');
  expect(parsed.attachments[0]).toMatchObject({ filename: 'a.txt', content: Buffer.from('ä') });
  expect(raw).not.toMatch(/hidden/);
});

it('takes a multipart form with files, inline where it names a content id', async () => {
  const octets = Uint8Array.from({ length: 300_000 }, (_none, at) => at % 256);
  const form = new FormData();
  for (const [name, value] of without('text')) form.append(name, value);
  form.append('html', '<img src="cid:logo">');
  form.append('files[logo.png]', new Blob([octets], { type: 'image/png' }), 'logo.png');
  form.append('content[logo.png]', 'logo');
  // Node's own encoder, so that the octets are those of a real client.
  const encoded = new Response(form);
  const answer = await call(worker, '/api/mail.send.json', {
    ...{ key, body: Buffer.from(await encoded.arrayBuffer()) },
    headers: { 'Content-Type': encoded.headers.get('content-type')! },
  });
  const { parsed } = await kept(worker, answer.headers.get('x-message-id')!);

  expect(answer.json).toEqual({ message: 'success' });
  expect(parsed.attachments[0]).toMatchObject({ filename: 'logo.png', cid: 'logo', contentType: 'image/png' });
  expect(parsed.attachments[0]!.content.equals(octets)).toBe(true);
});

it('sends each recipient of x-smtpapi a copy of its own, and the one of the form none', async () => {
  const api = {
    to: ['Ann <ann@example.com>', 'bob@example.com'],
    sub: { '-name-': ['Ann', 'Bob'], '-about-': ['[s]', 7] },
    section: { '[s]': 'a section' },
    category: 'news',
    unique_args: { order: 17 },
    filters: { footer: { settings: { enable: 1 } } },
  };
  const text: Pairs = [
    ['text', 'Dear -name-: -about-'],
    ['x-smtpapi', JSON.stringify(api)],
  ];
  const answer = await post([...without('text'), ...text], { bearer: key });
  const first = answer.headers.get('x-message-id')!;
  const line = await worker.log.line('message accepted', ({ request }) => request === first);
  const [ann, bob] = [await kept(worker, first), await kept(worker, String(line.id))];

  expect([ann.to, ann.parsed.text, bob.to, bob.parsed.text]).toEqual([
    ...[['ann@example.com'], 'Dear Ann: a section\n'],
    ...[['bob@example.com'], 'Dear Bob: 7\n'],
  ]);
  const { record } = (await worker.desk.find(first))!;
  expect(record).toMatchObject({ categories: ['news'], customArgs: { order: '17' } });
  expect((await worker.log.line('message accepted', ({ id }) => id === first)).ignored).toEqual(['filters.footer']);
});

it.each<[string, Pairs, string | RegExp]>([
  ['no sender', without('from'), 'Empty from email address (required)'],
  ['no recipient', without('to'), 'Missing destination email'],
  ['no subject', without('subject'), 'Missing subject'],
  ['no text', without('text'), 'Missing email body'],
  ['a bad recipient', [...without('to'), ['to', 'x\r\nX-Evil: 1']], /Does not contain a valid address/],
  ['a bad x-smtpapi', [...mail, ['x-smtpapi', '{"to":1']], 'x-smtpapi: expected a JSON object'],
  ['bad headers', [...mail, ['headers', '{"X-A":1}']], /All values of the headers object must be strings/],
  ['a reserved header', [...mail, ['headers', '{"Received":"1"}']], /reserved keys/],
  ['a bad file name', [...mail, ['files[a\nb]', 'x']], /cannot contain CRLF/],
])('refuses %s with 400 and a plain text', async (_name, pairs, message) => {
  const answer = await post(pairs, { bearer: key });
  const { errors, ...rest } = answer.json as { message: string; errors: string[] };

  expect([answer.status, rest]).toEqual([400, { message: 'error' }]);
  expect(errors).toEqual([message instanceof RegExp ? expect.stringMatching(message) : message]);
});

it('takes a request that stands in its URL, but for the key', async () => {
  const path = `/api/mail.send.json?${new URLSearchParams(mail).toString()}`;
  const answer = await call(worker, path, { key });

  expect([answer.status, answer.json]).toEqual([200, { message: 'success' }]);
  expect((await keptOf(answer)).parsed).toMatchObject({ subject: 'Hello', text: 'It works.\n' });
  expect((await call(worker, path)).json).toEqual({
    message: 'error',
    errors: ['Permission denied, wrong credentials'],
  });
});

it('refuses a bad key with 400, and one in the URL whether it is good or not', async () => {
  const { key: other } = await worker.mint({ scopes: ['stats.read'] });
  const errorsOf = async (answer: Promise<HttpAnswer>) => {
    const { status, json } = await answer;
    return [status, (json as { errors: string[] }).errors];
  };

  expect(await errorsOf(post(mail))).toEqual([400, ['Permission denied, wrong credentials']]);
  expect(await errorsOf(post([...mail, ['api_key', 'x']]))).toEqual([
    400,
    ['The provided authorization grant is invalid, expired, or revoked'],
  ]);
  expect(await errorsOf(post(mail, { bearer: other }))).toEqual([
    400,
    ['Authenticated user is not authorized to send mail'],
  ]);
  expect(await errorsOf(post(mail, { query: `?api_user=apikey&api_key=${key}` }))).toEqual([
    400,
    [expect.stringMatching(/^Credentials in the URL are not read/)],
  ]);
});
