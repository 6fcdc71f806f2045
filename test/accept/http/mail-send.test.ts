// POST /v3/mail/send: what a client sends is composed, parsed back and compared field by field.
import { gzipSync } from 'node:zlib';
import { call, kept, mail, sendJson } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

const idOf = (email: string, name?: string) => ({ email, ...(name === undefined ? {} : { name }) });

it('answers 202 with an empty body and the queue id', async () => {
  const { status, text, headers } = await call(worker, '/v3/mail/send', { key, body: mail() });

  expect({ status, text }).toEqual({ status: 202, text: '' });
  expect(headers.get('content-length')).toBe('0');
  expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
  const id = headers.get('x-message-id')!;
  expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/);
  const { raw, parsed } = await kept(worker, id);
  expect(raw).toMatch(/^Received: from \[127\.0\.0\.1\]\r\n\tby postern\.test \(Postern\) with HTTP\r\n\tid /);
  expect(parsed.messageId).toBe(`<${id}@postern.test>`);
  expect(parsed.text).toBe('It works.\n');
});

it('composes every field', async () => {
  const png = Buffer.from('89504e470d0a1a0a', 'hex');
  const id = await sendJson(
    worker,
    key,
    mail({
      personalizations: [
        {
          to: [idOf('one@example.com', 'Zoë, "the" One'), idOf('two@example.com')],
          cc: [idOf('three@example.com', 'Three')],
          bcc: [idOf('hidden@example.com', 'Hidden')],
          subject: 'Grüße 🎉',
          headers: { 'X-Own': 'personal', 'x-shared': 'personal wins' },
          custom_args: { own: '1', shared: 'personal' },
        },
      ],
      from: idOf('app@example.com', 'Die App'),
      reply_to_list: [idOf('a@example.com', 'A'), idOf('b@example.com')],
      headers: { 'X-Global': 'global', 'X-Shared': 'global', 'List-Unsubscribe': '<https://example.com/?u=1>' },
      content: [
        { type: 'text/plain', value: 'plain ä\n.dot' },
        { type: 'text/html', value: '<img src="cid:logo">' },
        { type: 'text/calendar', value: 'BEGIN:VCALENDAR' },
      ],
      attachments: [
        {
          content: png.toString('base64'),
          filename: 'logo.png',
          type: 'image/png',
          disposition: 'inline',
          content_id: 'logo',
        },
        { content: Buffer.from('a;b').toString('base64'), filename: 'Bericht, März.csv', type: 'csv' },
      ],
      categories: ['one', 'two'],
      custom_args: { shared: 'global', other: '2' },
    }),
  );
  const { parsed, header, to, raw } = await kept(worker, id);

  expect(to).toEqual(['one@example.com', 'two@example.com', 'three@example.com', 'hidden@example.com']);
  expect(parsed.from!.value).toEqual([{ address: 'app@example.com', name: 'Die App' }]);
  expect([parsed.to].flat()[0]!.value).toEqual([
    { address: 'one@example.com', name: 'Zoë, "the" One' },
    { address: 'two@example.com', name: '' },
  ]);
  expect([parsed.cc].flat()[0]!.value).toEqual([{ address: 'three@example.com', name: 'Three' }]);
  expect(raw.toLowerCase()).not.toContain('hidden');
  expect(parsed.replyTo!.value).toEqual([
    { address: 'a@example.com', name: 'A' },
    { address: 'b@example.com', name: '' },
  ]);
  expect(parsed.subject).toBe('Grüße 🎉');
  expect(parsed.headers.get('x-own')).toBe('personal');
  expect(parsed.headers.get('x-global')).toBe('global');
  expect(parsed.headers.get('x-shared')).toBe('personal wins');
  expect(header).toContain('List-Unsubscribe: <https://example.com/?u=1>');
  expect(parsed.text).toBe('plain ä\n.dot');
  expect(parsed.html).toContain('<img src=');
  expect(raw.indexOf('text/plain')).toBeLessThan(raw.indexOf('text/html'));
  expect(raw.indexOf('text/html')).toBeLessThan(raw.indexOf('text/calendar'));
  expect(parsed.attachments).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        filename: 'logo.png',
        contentType: 'image/png',
        cid: 'logo',
        content: png,
        related: true,
      }),
      expect.objectContaining({ filename: 'Bericht, März.csv', contentType: 'text/csv', content: Buffer.from('a;b') }),
    ]),
  );
  expect(raw).not.toMatch(/[^\r]\n/);
  const { record } = (await worker.desk.find(id))!;
  expect(record).toMatchObject({
    categories: ['one', 'two'],
    customArgs: { own: '1', shared: 'personal', other: '2' },
  });
  expect(raw).not.toMatch(/personal\b.*shared:|x-category/i);
});

it('makes one message of each personalization, with its own sender, subject and substitutions', async () => {
  const id = await sendJson(
    worker,
    key,
    mail({
      personalizations: [
        { to: [idOf('a@example.com')], substitutions: { '-name-': 'Ann', '%s%': ':long:' } },
        {
          to: [idOf('b@example.com')],
          from: idOf('other@example.com'),
          subject: 'For -name-',
          substitutions: { '-name-': '-name-$&' },
        },
      ],
      sections: { ':long:': 'a section for you' },
      subject: 'Hi -name-',
      content: [{ type: 'text/plain', value: 'Dear -name-, %s%' }],
    }),
  );
  const line = await worker.log.line('message accepted', ({ request }) => request === id);
  const [first, second] = [await kept(worker, id), await kept(worker, String(line.id))];

  expect([first.parsed.subject, first.parsed.text, first.to]).toEqual([
    'Hi Ann',
    'Dear Ann, a section for you\n',
    ['a@example.com'],
  ]);
  expect([second.parsed.subject, second.parsed.text, second.to]).toEqual([
    'For -name-$&',
    'Dear -name-$&, %s%\n',
    ['b@example.com'],
  ]);
  expect(second.parsed.from!.text).toBe('other@example.com');
  expect(first.raw).not.toContain('b@example.com');
  expect(second.raw).not.toContain('a@example.com');
});

it('takes gzip, and a body of megabytes', async () => {
  const value = 'ü and € and a line\n'.repeat(60_000);
  const content = Buffer.alloc(3_000_000, 'some octets, ');
  const body = mail({
    content: [{ type: 'text/html', value }],
    attachments: [{ content: content.toString('base64').replace(/(.{76})/g, '$1\r\n'), filename: 'x.bin' }],
  });
  const answer = await call(worker, '/v3/mail/send', {
    key,
    body: gzipSync(JSON.stringify(body)),
    headers: { 'Content-Encoding': 'gzip' },
  });
  const { parsed } = await kept(worker, answer.headers.get('x-message-id')!);

  expect(answer.status).toBe(202);
  expect(parsed.html).toBe(value);
  expect(parsed.attachments[0]!.content.equals(content)).toBe(true);
});

it('sends nothing in the sandbox', async () => {
  const before = (await worker.desk.list(100)).length;
  const { status, text, headers } = await call(worker, '/v3/mail/send', {
    key,
    body: mail({ mail_settings: { sandbox_mode: { enable: true } } }),
  });

  expect({ status, text, id: headers.get('x-message-id') }).toEqual({ status: 200, text: '', id: null });
  expect((await worker.desk.list(100)).length).toBe(before);
});

it('names in its log line what it checks and does not act on, and in openapi.json', async () => {
  const id = await sendJson(
    worker,
    key,
    mail({
      personalizations: [{ to: [idOf('you@example.com')], dynamic_template_data: { name: 'Ann' } }],
      template_id: 'd-1',
      asm: { group_id: 1 },
      ip_pool_name: 'pool',
      mail_settings: { footer: { enable: true, text: 'f' }, spam_check: { enable: false } },
      tracking_settings: { open_tracking: { enable: true }, click_tracking: { enable: false } },
    }),
  );
  const line = await worker.log.line('message accepted', (each) => each.id === id);
  const { paths } = (await call(worker, '/openapi.json', { method: 'GET' })).json as {
    paths: Record<string, { post: { requestBody: { content: Record<string, { schema: { properties: object } }> } } }>;
  };
  const members = paths['/v3/mail/send']!.post.requestBody.content['application/json']!.schema.properties;

  expect((await kept(worker, id)).parsed.text).toBe('It works.\n');
  expect(line.ignored).toEqual([
    ...['template_id', 'asm', 'ip_pool_name', 'dynamic_template_data'],
    ...['mail_settings.footer', 'tracking_settings.open_tracking'],
  ]);
  for (const name of ['template_id', 'asm', 'ip_pool_name', 'mail_settings', 'tracking_settings']) {
    expect([name, (members as Record<string, object>)[name]]).toEqual([
      name,
      expect.objectContaining({ description: expect.stringMatching(/not acted on/) as string }),
    ]);
  }
});
