// POST /v3/mail/send: what is refused, in SendGrid's words, field by field, and what no client can smuggle in.
import { call, mail, person, type Json } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

const HELP = 'http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message';
const to = [{ email: 'you@example.com' }];
async function faultsOf(body: unknown): Promise<unknown> {
  const { status, json } = await call(worker, '/v3/mail/send', { key, body });
  expect(status).toBe(400);
  return (json as { errors: unknown }).errors;
}

const TO =
  'The to array is required for all personalization objects, and must have at least one email object with a valid email address.';

it.each<[why: string, more: Json, field: string, message: string | RegExp, help?: string | null]>([
  ['to is missing', { personalizations: [{}] }, 'personalizations.0.to', TO, `${HELP}.personalizations.to`],
  ['to is empty', { personalizations: [{ to: [] }] }, 'personalizations.0.to', TO],
  [
    'to is an object',
    { personalizations: [{ to: {} }] },
    'personalizations.0.to',
    'Invalid type. Expected: array, given: object.',
    null,
  ],
  [
    'an email is missing',
    { personalizations: [{ to: [{}] }] },
    'personalizations.0.to.0.email',
    'The to email parameter is required.',
  ],
  [
    'a recipient is bad',
    person({ cc: [{ email: 'a@b' }] }),
    'personalizations.0.cc.0.email',
    'Does not contain a valid address.',
    `${HELP}.personalizations.cc.email`,
  ],
  [
    'the sender is bad',
    { from: { email: 'x' } },
    'from.email',
    'The from email does not contain a valid address.',
    `${HELP}.from.email`,
  ],
  ['the sender is missing', { from: undefined }, 'from.email', /^The from object must be provided/],
  ['the sender is empty', { from: {} }, 'from.email', /^The from object must be provided/],
  [
    'there is no personalization',
    { personalizations: [] },
    'personalizations',
    'The personalizations field is required and must have at least one personalization.',
    HELP.replace('message', '-Personalizations-Errors'),
  ],
  [
    'there are too many',
    { personalizations: Array.from({ length: 1001 }, () => ({ to })) },
    'personalizations',
    /You have provided 1001 personalizations/,
    HELP.replace('message', '-Personalizations-Errors'),
  ],
  [
    'a recipient comes twice',
    person({ bcc: [{ email: 'YOU@example.com' }] }),
    'personalizations.0',
    'Each email address in the personalization block should be unique between to, cc, and bcc. We found the first duplicate instance of [YOU@example.com] in the personalizations.0.bcc field.',
    `${HELP}.recipient-errors`,
  ],
  [
    'there are too many recipients',
    { personalizations: [{ to: Array.from({ length: 1001 }, (_none, at) => ({ email: `a${at}@example.com` })) }] },
    'personalizations',
    'There is a limit of 1000 total recipients (to + cc + bcc) per request.',
    HELP.replace('message', '-Personalizations-Errors'),
  ],
  [
    'a reply address comes twice',
    { reply_to_list: [{ email: 'a@example.com' }, { email: 'A@example.com' }] },
    'reply_to_list',
    'Each email address in the reply_to_list should be unique.',
  ],
  ['custom args are empty', { custom_args: {} }, 'custom_args', 'custom_args cannot be empty.', `${HELP}.custom_args`],
  [
    'a header is a word without an end',
    { headers: { 'X-A': `a ${'x'.repeat(998)}` } },
    'headers.X-A',
    /a blank in every 997 characters/,
  ],
  ...['Y', 'YWFhY', 'YQ=', ' '].map((content): [string, Json, string, string] => [
    `an attachment ends in the middle of an octet: "${content}"`,
    { attachments: [{ content, filename: 'a' }] },
    'attachments.0.content',
    'The attachment content must be base64 encoded.',
  ]),
  [
    'a content type has a line end',
    { content: [{ type: 'text/plain\r\n', value: 'x' }] },
    'content.0.type',
    "Cannot contain ';', or CRLF characters.",
  ],
  [
    'a content type has parts of its own',
    { content: [{ type: 'multipart/mixed', value: 'x' }] },
    'content.0.type',
    /^The content type cannot be multipart or message/,
  ],
  [
    'content is empty text',
    { content: [{ type: 'text/plain', value: '' }] },
    'content.0.value',
    'The content value must be a string at least one character in length.',
  ],
  ['content is missing', { content: undefined }, 'content', /^Unless a valid template_id is provided/],
  [
    'content is out of order',
    {
      content: [
        { type: 'text/html', value: 'x' },
        { type: 'text/plain', value: 'x' },
      ],
    },
    'content',
    /^Following RFC 1341/,
  ],
  [
    'a content type has parameters',
    { content: [{ type: 'text/plain; charset=x', value: 'x' }] },
    'content.0.type',
    "Cannot contain ';', or CRLF characters.",
  ],
  [
    'there are too many tags',
    { sections: Object.fromEntries(Array.from({ length: 151 }, (_none, at) => [`t${at}`, 'x'])) },
    'sections',
    'There is a limit of 150 tags. You provided 151.',
  ],
  ['there is no subject', { subject: undefined }, 'subject', /^The subject is required\./],
  [
    'the subject is empty',
    { subject: '' },
    'subject',
    'The subject of your email must be a string at least one character in length.',
  ],
  [
    'a header is reserved',
    { headers: { 'X-SG-Eid': 'x' } },
    'headers.X-SG-Eid',
    'Header cannot be one of the reserved keys.',
    `${HELP}.headers`,
  ],
  [
    'a header comes twice',
    { headers: { 'X-A': '1', 'x-a': '2' } },
    'headers.x-a',
    'The headers cannot contain duplicate keys.',
  ],
  [
    'a header name has a blank',
    person({ headers: { 'X A': '1' } }),
    'personalizations.0.headers.X A',
    'Header keys cannot contain non-ASCII characters or empty spaces.',
  ],
  [
    'a header is a number',
    { headers: { 'X-A': 1 } },
    'headers.X-A',
    'All values of the headers object must be strings.',
  ],
  [
    'a custom arg is a number',
    { custom_args: { a: 1 } },
    'custom_args.a',
    'All values of custom arguments object must be strings',
  ],
  [
    'custom args are too big',
    { custom_args: { a: 'x'.repeat(6000) }, ...person({ custom_args: { b: 'x'.repeat(6000) } }) },
    'personalizations.0.custom_args',
    /may not exceed 10,000 bytes/,
  ],
  [
    'there are too many categories',
    { categories: Array.from({ length: 11 }, (_none, at) => `c${at}`) },
    'categories',
    'There is a limit of 10 categories for each email that is sent. You provided 11 categories.',
  ],
  [
    'a category comes twice',
    { categories: ['a', 'a'] },
    'categories.1',
    'The categories must be a unique list, and you have included [a] more than once.',
  ],
  [
    'a category is not ASCII',
    { categories: ['ä'] },
    'categories.0',
    'Categories can not contain non-ASCII characters.',
  ],
  ['send_at is text', { send_at: 'now' }, 'send_at', /^The send_at parameter is expecting a Unix timestamp/],
  [
    'send_at is far',
    { send_at: Math.floor(Date.now() / 1000) + 73 * 3600 },
    'send_at',
    'Scheduling more than 72 hours in advance is forbidden.',
  ],
  [
    'an attachment is not base64',
    { attachments: [{ content: 'ä', filename: 'a' }] },
    'attachments.0.content',
    'The attachment content must be base64 encoded.',
  ],
  [
    'an attachment has no name',
    { attachments: [{ content: 'YQ==' }] },
    'attachments.0.filename',
    'filename is required.',
  ],
  [
    'a disposition is unknown',
    { attachments: [{ content: 'YQ==', filename: 'a', disposition: 'x' }] },
    'attachments.0.disposition',
    'The disposition of your attachment can be either "inline" or "attachment". You provided [x].',
  ],
  ['a group is text', { asm: { group_id: 'x' } }, 'asm.group_id', 'The ASM group ID must be an integer.'],
  ['a batch is unknown', { batch_id: 'nonsense' }, 'batch_id', /^The batch_id is not valid/],
  [
    'the sandbox is text',
    { mail_settings: { sandbox_mode: { enable: 'yes' } } },
    'mail_settings.sandbox_mode.enable',
    'The sandbox mode enable param should be a boolean value.',
  ],
  [
    'reply_to stands beside its list',
    { reply_to: to[0], reply_to_list: to },
    'reply_to_list',
    /cannot be used together/,
  ],
])('is refused when %s', async (...[, more, field, message, help]) => {
  expect(await faultsOf(mail(more))).toEqual([
    {
      message: message instanceof RegExp ? (expect.stringMatching(message) as string) : message,
      field,
      help: help === undefined ? (expect.stringContaining(HELP) as string) : help,
    },
  ]);
});

it('names everything that is wrong at once, and each with message, field and help in this order', async () => {
  const { text } = await call(worker, '/v3/mail/send', {
    key,
    body: { personalizations: [{ to: 'x' }], from: { email: 'x' } },
  });
  const { errors } = JSON.parse(text) as { errors: { field: string }[] };

  expect(errors.map(({ field }) => field)).toEqual(['personalizations.0.to', 'from.email', 'subject', 'content']);
  expect(text).toMatch(/^\{"errors":\[\{"message":"[^"]+","field":"[^"]+","help":null\}/);
});

it('refuses mail that would take its subject or its content from a template', async () => {
  const faults = await faultsOf(mail({ template_id: 'd-1', content: undefined, subject: undefined }));

  expect(faults).toMatchObject([
    {
      field: 'template_id',
      message: 'The Template ID must be a valid template id for your account. You provided [d-1].',
    },
    { field: 'subject' },
    { field: 'content' },
  ]);
  expect(await faultsOf(mail({ template_id: 'old', content: [] }))).toMatchObject([
    { field: 'template_id' },
    { field: 'content' },
  ]);
});

it('takes null for what may be left out, and members that it does not know', async () => {
  const body = mail({
    reply_to: null,
    attachments: null,
    personalizations: [{ to, cc: null, categories: ['x'], other: 1 }],
    extra: {},
  });

  expect((await call(worker, '/v3/mail/send', { key, body })).status).toBe(202);
});
