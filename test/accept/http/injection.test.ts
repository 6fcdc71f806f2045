// What ends a line for somebody ends no header field: through every field of /v3/mail/send, and of the old call.
import { scanHeader } from '../../../src/message/header-block.js';
import { ask } from '../../support/contract.js';
import { call, kept, mail, person, type Json } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

const ENDS: [name: string, end: string][] = [
  ['CR and LF', '\r\n'],
  ['LF', '\n'],
  ['CR', '\r'],
  ['NUL', '\0'],
  ['NEL', '\u0085'],
  ['LS', '\u2028'],
  ['PS', '\u2029'],
];

async function fieldNames(id: string): Promise<string[]> {
  const { raw } = await kept(worker, id);
  return scanHeader(Buffer.from(raw, 'latin1')).fields.map(({ name }) => name);
}

describe.each(ENDS)('%s and a field behind it', (_name, end) => {
  const evil = `a${end}X-Evil: 1`;
  const statusOf = (more: Json) =>
    call(worker, '/v3/mail/send', { key, body: mail(more) }).then(({ status }) => status);

  it('is refused in addresses, headers, file names, types and content ids', async () => {
    const attachment = { content: 'YQ==', filename: 'a' };
    const bodies: Json[] = [
      { from: { email: `app@example.com${end}X` } },
      person({ cc: [{ email: `a${end}b@example.com` }] }),
      { reply_to: { email: `a@example${end}.com` } },
      { headers: { 'X-A': evil } },
      { headers: { [`X-A${end}X-Evil`]: '1' } },
      { categories: [evil] },
      { content: [{ type: `text/plain${end}`, value: 'x' }] },
      { attachments: [{ ...attachment, filename: evil }] },
      { attachments: [{ ...attachment, type: `text/plain${end}X-Evil: 1` }] },
      { attachments: [{ ...attachment, disposition: 'inline', content_id: evil }] },
    ];
    expect(await Promise.all(bodies.map(statusOf))).toEqual(bodies.map(() => 400));
  });

  it('becomes a blank in names and subjects', async () => {
    const body = mail({
      ...person({ to: [{ email: 'you@example.com', name: evil }], substitutions: { tag: evil } }),
      from: { email: 'app@example.com', name: evil },
      subject: `${evil} tag`,
    });
    const answer = await call(worker, '/v3/mail/send', { key, body });
    const id = answer.headers.get('x-message-id')!;
    const { parsed } = await kept(worker, id);

    expect(parsed.subject).toBe('a X-Evil: 1 a X-Evil: 1');
    expect(parsed.from!.value[0]!.name).toBe('a X-Evil: 1');
    expect(await fieldNames(id)).not.toContain('x-evil');
  });

  it.each(['json', 'xml'])('gets nowhere through the fields of the old call (%s)', async (format) => {
    const form = { to: 'you@example.com', from: 'app@example.com', subject: 's', text: 't' };
    const variants: Record<string, string>[] = [
      ...['to', 'from', 'replyto', 'cc', 'bcc'].map((name) => ({ [name]: `a${end}X-Evil: 1@example.com` })),
      ...['toname', 'fromname', 'subject', 'text', 'html', 'date'].map((name) => ({ [name]: evil })),
      { cc: 'cc@example.com', ccname: evil },
      { headers: JSON.stringify({ 'X-A': evil }) },
      { headers: JSON.stringify({ [evil]: '1' }) },
      { [`files[${evil}]`]: 'x' },
      { 'files[a]': 'x', 'content[a]': evil },
      { 'x-smtpapi': JSON.stringify({ to: [`${evil} <b@example.com>`] }) },
      {
        'x-smtpapi': JSON.stringify({ sub: { t: [evil] }, section: { a: evil }, unique_args: { a: evil } }),
        subject: 't',
      },
      { 'x-smtpapi': JSON.stringify({ category: evil }) },
    ];
    for (const variant of variants) {
      const answer = await call(worker, `/api/mail.send.${format}`, {
        ...{ key, body: new URLSearchParams({ ...form, ...variant }).toString() },
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      });
      expect([variant, [200, 400].includes(answer.status)]).toEqual([variant, true]);
      if (answer.status === 200) expect(await fieldNames(answer.headers.get('x-message-id')!)).not.toContain('x-evil');
    }
  });

  it('gets nowhere through arguments, tags and what is not acted on', async () => {
    const bodies: Json[] = [
      { custom_args: { [evil]: evil } },
      person({ substitutions: { Hello: evil } }),
      { ...person({ substitutions: { Hello: 's' } }), sections: { s: evil } },
      {
        template_id: evil,
        ip_pool_name: evil,
        ...person({ dynamic_template_data: { [evil]: evil } }),
      },
      { tracking_settings: { ganalytics: { enable: true, utm_source: evil } } },
    ];
    for (const more of bodies) {
      const answer = await call(worker, '/v3/mail/send', { key, body: mail(more) });
      expect(answer.status).toBe(202);
      expect(await fieldNames(answer.headers.get('x-message-id')!)).not.toContain('x-evil');
    }
  });

  it('is refused in a batch id, a time and the content id of a plain attachment', async () => {
    const attachment = { content: 'YQ==', filename: 'a', content_id: evil };
    for (const more of [{ batch_id: evil }, { send_at: evil }, { attachments: [attachment] }]) {
      expect(await statusOf(more)).toBe(400);
    }
  });
});

it.each(['\u0085', '\u2028', 'ä', '\t', 'x'.repeat(256), ' '])('an Idempotency-Key of %j is refused', async (name) => {
  const headers = { 'content-type': 'application/json', 'idempotency-key': Buffer.from(name).toString('latin1') };
  const { status } = await ask(worker.httpUrl, '/v3/mail/send', { method: 'POST', key, body: mail(), headers });

  expect(status).toBe(400);
});
