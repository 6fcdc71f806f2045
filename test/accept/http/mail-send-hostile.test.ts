// POST /v3/mail/send: whatever a client sends is answered, and what is accepted comes back from the MIME as it was meant.
import { call, kept, mail } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';
import { fc, runs } from '../../support/properties.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

/** Values that stand where a field is, and anywhere else. */
const anything = fc.jsonValue({ maxDepth: 3 });
const nearlyMail = fc
  .record({
    personalizations: fc.oneof(
      anything,
      fc.array(
        fc.record({
          to: fc.oneof(anything, fc.array(fc.record({ email: fc.oneof(anything, fc.emailAddress()), name: anything }))),
          subject: anything,
          headers: fc.oneof(anything, fc.dictionary(fc.string(), fc.string())),
          substitutions: fc.oneof(anything, fc.dictionary(fc.string(), fc.string())),
          custom_args: anything,
          send_at: anything,
        }),
        { maxLength: 3 },
      ),
    ),
    from: fc.oneof(anything, fc.record({ email: fc.constant('app@example.com'), name: fc.string() })),
    subject: fc.oneof(anything, fc.string({ unit: 'binary' })),
    content: fc.oneof(
      anything,
      fc.array(fc.record({ type: fc.oneof(anything, fc.constant('text/plain')), value: anything })),
    ),
    attachments: fc.oneof(anything, fc.constant([])),
    ...{ headers: anything, categories: anything, custom_args: anything, send_at: anything, sections: anything },
    ...{ mail_settings: anything, tracking_settings: anything, asm: anything, reply_to_list: anything },
  })
  .map((body) => mail(body));

it('answers any JSON with 2xx or with errors in the right shape', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(anything, nearlyMail), async (body) => {
      const { status, json, text } = await call(worker, '/v3/mail/send', { key, body: JSON.stringify(body) });
      if (status === 202 || status === 200) return text === '';
      const { errors } = json as { errors: { message: unknown; field: unknown; help: unknown }[] };
      const shaped = errors.every(
        ({ message, field, help }) =>
          typeof message === 'string' && [field, help].every((each) => each === null || typeof each === 'string'),
      );
      return status === 400 && errors.length > 0 && shaped;
    }),
    runs(300),
  );
});

it('composes what it accepts: names, subjects, headers and texts come back as they were meant', async () => {
  const printable = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
    .filter((text) => /^\S(.*\S)?$/u.test(text));
  await fc.assert(
    fc.asyncProperty(printable, printable, printable, async (name, subject, value) => {
      const body = mail({
        from: { email: 'app@example.com', name },
        subject,
        content: [{ type: 'text/plain', value }],
      });
      const answer = await call(worker, '/v3/mail/send', { key, body });
      const { parsed } = await kept(worker, answer.headers.get('x-message-id')!);
      expect([parsed.from!.value[0]!.name, parsed.subject, parsed.text!.trimEnd()]).toEqual([name, subject, value]);
    }),
    runs(100),
  );
});
