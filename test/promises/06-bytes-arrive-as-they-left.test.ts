// Promise 6: bytes arrive as they left, for every body a client can send (bare CR and LF aside, as the setting says).
import { startNextHop, type NextHop } from '../support/next-hop.js';
import { SMUGGLED, WRONG_ENDS } from '../support/wrong-ends.js';
import { startTestWorker, stuffed, submit, type TestWorker } from '../support/worker.js';
import { fc, runs } from '../support/properties.js';

let hop: NextHop;
let worker: TestWorker;
let key: string;

beforeAll(async () => {
  hop = await startNextHop();
  worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url } });
  key = (await worker.mint()).key;
});
afterAll(async () => {
  await worker.stop();
  await hop.stop();
});

const HEADER = 'From: a@example.com\r\nMessage-ID: <x@example.com>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n';
const TRACE = /^Received: from [^\r]*\r\n\tby [^\r]*\r\n\tid [^\r]*\r\n/;

/** What arrived, less the one trace field. */
async function relay(octets: Buffer, cuts: number[] = []): Promise<Buffer> {
  const before = hop.messages.length;
  const dialogue = await worker.logIn(key);
  await dialogue.line('MAIL FROM:<a@example.com> BODY=8BITMIME');
  await dialogue.line('RCPT TO:<b@example.com>');
  await dialogue.line('DATA');
  const wire = stuffed(octets);
  const at = [...new Set(cuts.map((cut) => cut % (wire.length + 1)))].sort((a, b) => a - b);
  [0, ...at].forEach((from, index) => dialogue.send(wire.subarray(from, at[index] ?? wire.length)));
  expect(await dialogue.reply()).toMatch(/^250 2\.6\.0 /);
  const messages = await hop.waitForMessages(before + 1);
  await dialogue.close();
  const { data } = messages[before]!;
  expect(data.toString('latin1')).toMatch(TRACE);
  return data.subarray(TRACE.exec(data.toString('latin1'))![0].length);
}

test('any lines of any octets but CR, LF and NUL, however they are cut into packets', async () => {
  const octet = fc
    .oneof(fc.constant(0x2e), fc.integer({ min: 1, max: 255 }))
    .filter((value) => value !== 10 && value !== 13);
  const line = fc.array(octet, { maxLength: 90 });
  const lines = fc.array(line, { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.nat(), { maxLength: 6 }), async (body, cuts) => {
      const octets = Buffer.concat([
        Buffer.from(HEADER),
        ...body.flatMap((each) => [Buffer.from(each), Buffer.from('\r\n')]),
      ]);
      expect((await relay(octets, cuts)).equals(octets)).toBe(true);
    }),
    runs(60),
  );
});

test('dots, empty lines, a long line, and five megabytes', async () => {
  const long = `${'x'.repeat(100_000)}\r\n`;
  const big = Buffer.alloc(5_000_000, 'abcdefgh.\r\n');
  const end = Buffer.from('\r\nend\r\n');
  for (const body of ['.\r\n..\r\n...\r\n', '\r\n\r\n\r\n', long, Buffer.concat([big, end])]) {
    const octets = Buffer.concat([Buffer.from(HEADER), Buffer.from(body)]);
    expect((await relay(octets)).equals(octets)).toBe(true);
  }
});

test('the header block keeps its order, folding, case and odd fields; only X-SMTPAPI goes', async () => {
  const odd =
    'X-Odd :  kept \r\n\tfolded\r\nBcc: hidden@example.com\r\nx-smtpapi: {"to":[]}\r\n \tand more\r\nSUBJECT: =?utf-8?q?=C3=A9?=\r\n';
  const kept = odd.replace(/x-smtpapi:[^]*more\r\n/, '');
  expect((await relay(Buffer.from(odd + HEADER))).toString()).toBe(kept + HEADER);
});

test('a message that begins with its body gets an empty line between trace fields and body', async () => {
  const arrived = (await relay(Buffer.from('no header at all\r\n'))).toString();
  expect(arrived).toMatch(/^Message-ID: <[^>]+@postern\.test>\r\nDate: [^\r]+\r\n\r\nno header at all\r\n$/);
});

test('bare CR and bare LF become CRLF, and so does their dot', async () => {
  const arrived = (await relay(Buffer.from(`${HEADER}a\nb\rc\n\n.d\n..e\r\r\nf\r\n`))).toString();
  expect(arrived).toBe(`${HEADER}a\r\nb\r\nc\r\n\r\n.d\r\n..e\r\n\r\nf\r\n`);
});

test.each(WRONG_ENDS)('the wrong end of data %j ends nothing, here or at the next hop', async (wrong) => {
  const dialogue = await worker.logIn(key);
  const before = hop.messages.length;
  for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA']) await dialogue.line(line);
  dialogue.send(`${HEADER}body${wrong}${SMUGGLED}\r\n.\r\n`);
  expect(await dialogue.reply()).toMatch(wrong.includes('\0') ? /^554 5\.6\.0 / : /^250 2\.6\.0 /);
  expect(await dialogue.line('NOOP')).toMatch(/^250 /);
  // One more behind it: nothing else has come.
  expect(await submit(dialogue, `${HEADER}last\r\n`)).toMatch(/^250 /);
  const messages = (await hop.waitForMessages(before + (wrong.includes('\0') ? 1 : 2))).slice(before);
  expect(messages.map(({ mailFrom }) => mailFrom).sort()).toEqual(
    messages.map(({ mailFrom }) => mailFrom.replace('evil', 'a')).sort(),
  );
  for (const { data } of messages) expect(data.toString('latin1').replaceAll('\r\n', '')).not.toMatch(/[\r\n\0]/);
  await dialogue.close();
});

test('with bareNewlines refuse they are refused, and nothing is kept', async () => {
  const strict = await startTestWorker({ env: { POSTERN_SMTP_BARE_NEWLINES: 'refuse' } });
  const { key } = await strict.mint();
  for (const body of ['a\nb\r\n', 'a\rb\r\n', 'a\r\r\nb\r\n']) {
    const dialogue = await strict.logIn(key);
    expect(await submit(dialogue, HEADER + body)).toBe('550 5.6.11 Bare CR or LF in the message');
    await dialogue.close();
  }
  expect(await strict.desk.list(10)).toEqual([]);
  await strict.stop();
});
