// A restriction means a domain in both of its forms, U-labels and A-labels, over both doors.
import { call, mail } from '../support/http-send.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

const FORMS = ['bücher.example', 'xn--bcher-kva.example', 'XN--Bcher-KVA.example'];
const pairs = FORMS.flatMap((listed) => FORMS.map((given) => [listed, given] as const));

let worker: TestWorker;
const keys = new Map<string, string>();
beforeAll(async () => {
  worker = await startTestWorker();
  for (const form of FORMS) {
    const restrictions = { from: [form], to: [`you@${form}`, form] };
    keys.set(form, (await worker.mint({ restrictions })).key);
  }
});
afterAll(() => worker.stop());

test.each(pairs)('SMTP: a key for %s may send as and to %s, and nobody else', async (listed, given) => {
  const dialogue = await worker.logIn(keys.get(listed)!);
  for (const from of ['example.com', given]) {
    const reply = await dialogue.line(`MAIL FROM:<a@${from}> SMTPUTF8`);
    expect(reply).toMatch(from === given ? /^250 / : /^550 5\.7\.1 /);
  }
  expect(await dialogue.line(`RCPT TO:<you@${given}>`)).toMatch(/^250 /);
  expect(await dialogue.line('RCPT TO:<you@bucher.example>')).toMatch(/^550 5\.7\.1 /);
  for (const header of [given, 'buecher.example']) {
    if (header !== given) {
      await dialogue.line(`MAIL FROM:<a@${given}> SMTPUTF8`);
      await dialogue.line(`RCPT TO:<you@${given}>`);
    }
    await dialogue.line('DATA');
    dialogue.send(`From: a@${header}\r\n\r\ntext\r\n.\r\n`);
    expect(await dialogue.reply()).toMatch(header === given ? /^250 / : /^550 5\.7\.1 /);
  }
  await dialogue.close();
});

test.each(pairs)('HTTP: a key for %s may send as and to %s, and nobody else', async (listed, given) => {
  const send = (from: string, to: string) => {
    const body = mail({ from: { email: from }, personalizations: [{ to: [{ email: to }] }] });
    return call(worker, '/v3/mail/send', { key: keys.get(listed), body }).then(({ status }) => status);
  };
  expect(await send(`a@${given}`, `you@${given}`)).toBe(202);
  expect(await send('a@bucher.example', `you@${given}`)).toBe(403);
  expect(await send(`a@${given}`, 'you@bucher.example')).toBe(403);
});
