// The octets of a message on their way into the spool: what becomes of it does not depend on how it was cut.
import { Readable } from 'node:stream';
import { Budget } from '../../src/accept/budget.js';
import { Intake } from '../../src/accept/intake.js';
import { Policy } from '../../src/admit/policy.js';
import { systemClock } from '../../src/base/clock.js';
import { addressMatches } from '../../src/keys/policy.js';
import type { SpoolWriter } from '../../src/spool/spool.js';

const LIMIT = 4096;
const envelope = { from: 'a@example.com', recipients: [], smtpUtf8: false };

/** A store in memory, and what it was given. */
function store() {
  const kept: Buffer[] = [];
  const writer: SpoolWriter = {
    buffered: 0,
    write: (chunk) => Promise.resolve(void kept.push(Buffer.from(chunk))),
    flush: () => Promise.resolve(),
    commit: () => Promise.resolve(),
    abort: () => Promise.resolve(),
  };
  return { writer, text: () => Buffer.concat(kept).toString('latin1') };
}

/** The refusal, or the message behind its Received field. */
async function take(message: string, cuts: number[], maxMessageBytes = 1_000_000): Promise<string> {
  const { writer, text } = store();
  const parts = {
    policy: new Policy(addressMatches, { maxMessageBytes, maxRecipients: 10 }),
    budget: new Budget(10_000_000),
    clock: systemClock,
    settings: { bareNewlines: 'normalize', maxHeaderBytes: LIMIT, hostname: 'postern.test' } as const,
  };
  const principal = { keyId: 'id', secret: 'mark', scopes: [], restrictions: {} } as never;
  const client = { address: '127.0.0.1', helo: 'client', protocol: 'ESMTPA', secure: false };
  const intake = new Intake(parts, { id: 'id', principal, envelope: envelope as never, client }, writer);
  const octets = Buffer.from(message, 'latin1');
  const edges = [0, ...cuts, octets.length];
  const pieces = edges.slice(1).map((edge, at) => octets.subarray(edges[at], edge));
  const refusal = await intake.readAll(Readable.from(pieces), undefined);
  return refusal?.reason ?? text().replace(/^Received:[^\n]*\n(\t[^\n]*\n)*/, '');
}

describe('a header block about as long as the limit', () => {
  const known = 'Message-ID: <1@x>\r\nDate: x\r\n';
  const fill = (length: number) => `${known}X: ${'a'.repeat(length - known.length - 5)}\r\n`;
  const cases: [string, string][] = [
    ['as long as the limit', `${fill(LIMIT - 2)}\r\nbody`],
    ['one octet too long', `${fill(LIMIT - 1)}\r\nbody`],
    ['too long by a field', `${fill(LIMIT - 20)}Second: ${'b'.repeat(5000)}\r\n\r\nbody`],
    ['ended by a line that is no field', `${fill(LIMIT - 20)}no field ${'b'.repeat(5000)}\r\n\r\nbody`],
    ['ended by a line without any end', `${fill(LIMIT - 20)}${'b'.repeat(9000)}`],
    ['followed by a line that is no field', `${fill(LIMIT + 10)}no field\r\n\r\nbody`],
    ['a name that is too long', `${fill(LIMIT - 20)}${'n'.repeat(999)}: ${'b'.repeat(5000)}\r\n\r\nbody`],
    ['the longest name', `${fill(LIMIT - 20)}${'n'.repeat(998)}: ${'b'.repeat(5000)}\r\n\r\nbody`],
  ];

  test.each(cases)('%s: is judged alike wherever it is cut', async (_name, message) => {
    const whole = await take(message, []);
    expect(whole === 'header-too-big' || whole.startsWith(known)).toBe(true);
    const cuts = Array.from({ length: 24 }, (_, at) => LIMIT - 24 + 2 * at).filter((cut) => cut < message.length);
    for (const cut of cuts) expect([cut, await take(message, [cut])]).toEqual([cut, whole]);
    expect(await take(message, cuts)).toBe(whole);
  });

  test('is refused when it is too long, and only then', async () => {
    const verdicts = await Promise.all(cases.map(([, message]) => take(message, [])));
    expect(verdicts.map((verdict) => verdict === 'header-too-big')).toEqual([
      ...[false, true, true, false, false, true, false, true],
    ]);
  });
});

test('bare newlines do not make a message longer than the limit', async () => {
  expect(await take(`Date: x\r\n\r\n${'\n'.repeat(600)}`, [], 1000)).toBe('too-big');
  expect(await take(`Date: x\r\n\r\n${'\n'.repeat(400)}`, [], 1000)).not.toBe('too-big');
});

test('the work is in proportion to the message, however it is cut', async () => {
  const spy = jest.spyOn(Buffer.prototype as Buffer, 'indexOf');
  try {
    const message = `Date: x\r\nSubject: a\r\n${' a\r\n'.repeat(1000)}\r\n${'b'.repeat(3000)}`;
    await take(
      message,
      Array.from({ length: message.length - 1 }, (_, at) => at + 1),
    );
    const looked = spy.mock.calls.map(([, from], at) => {
      const found = spy.mock.results[at]!.value as unknown as number;
      return (found < 0 ? (spy.mock.contexts[at] as unknown as Buffer).length : found) - Number(from ?? 0);
    });
    const octets = looked.reduce((sum, count) => sum + count, 0);
    expect(octets).toBeGreaterThan(message.length / 2);
    expect(octets).toBeLessThan(10 * message.length);
  } finally {
    spy.mockRestore();
  }
});
