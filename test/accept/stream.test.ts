// Guards an upgrade of smtp-server: its private members carry our parser.
import type { PassThrough } from 'node:stream';
import { StrictStream } from '../../src/accept/smtp/stream.js';
import { fc, runs } from '../support/properties.js';

interface Seen {
  lines: string[];
  messages: string[];
  tooLong: number;
  badEnding: boolean;
}

/** Feeds octets in pieces; DATA begins a message, everything else is a command. */
async function feed(octets: Buffer, cuts: number[]): Promise<Seen> {
  const seen: Seen = { lines: [], messages: [], tooLong: 0, badEnding: false };
  const stream = new StrictStream({
    onLine: (line, next) => {
      seen.lines.push(line.toString('latin1'));
      if (line.toString() === 'DATA') collect(stream, seen);
      next();
    },
    onLineTooLong: (_start, next) => {
      seen.tooLong++;
      next();
    },
    onBadLineEnding: () => {
      seen.badEnding = true;
      stream.isClosed = true;
    },
    onEnd: () => {},
  });
  const at = [...new Set(cuts.map((cut) => cut % (octets.length + 1)))].sort((a, b) => a - b);
  for (const [index, from] of [0, ...at].entries()) {
    const piece = Buffer.from(octets.subarray(from, at[index] ?? octets.length));
    await new Promise((resolve) => stream.write(piece, resolve));
  }
  return seen;
}

function collect(stream: StrictStream, seen: Seen): void {
  const message = stream.startDataMode() as PassThrough;
  const chunks: Buffer[] = [];
  message.on('data', (chunk: Buffer) => chunks.push(chunk));
  message.on('end', () => {
    seen.messages.push(Buffer.concat(chunks).toString('latin1'));
    stream.continue();
  });
}

/** The definition, RFC 5321 4.5.2, on the whole text at once. */
function reference(wire: string): { message: string | undefined; rest: string } {
  if (wire.startsWith('.\r\n')) return { message: '', rest: wire.slice(3) };
  const end = wire.indexOf('\r\n.\r\n');
  if (end < 0) return { message: undefined, rest: '' };
  const content = wire.slice(0, end + 2);
  return { message: content.replace(/(^|\r\n)\./g, '$1'), rest: wire.slice(end + 5) };
}

const soup = fc
  .array(fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '.\r\n', '..', 'a', 'bcd', '\0', '\r\n.\r\n'), {
    maxLength: 40,
  })
  .map((parts) => parts.join(''));

test('a message ends where RFC 5321 says, and only there, in any soup of dots and newlines cut anywhere', async () => {
  await fc.assert(
    fc.asyncProperty(soup, fc.array(fc.nat(), { maxLength: 12 }), async (text, cuts) => {
      const { message, rest } = reference(text);
      fc.pre(message === undefined || !/[\r\n\0]/.test(rest.replaceAll('\r\n', '')));
      const seen = await feed(Buffer.from(`DATA\r\n${text}`, 'latin1'), cuts);
      expect(seen.messages[0]).toBe(message);
    }),
    runs(4000),
  );
});

test('pipelined commands behind a message are read as commands', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), async (cuts) => {
      const wire = 'MAIL\r\nDATA\r\n..a\r\n.b\r\n\r\n.\r\nNOOP\r\nDATA\r\n.\r\nQUIT\r\n';
      const seen = await feed(Buffer.from(wire), cuts);
      expect(seen).toMatchObject({
        lines: ['MAIL', 'DATA', 'NOOP', 'DATA', 'QUIT'],
        messages: ['.a\r\nb\r\n\r\n', ''],
        badEnding: false,
      });
    }),
    runs(300),
  );
});

test.each(['NOOP\n', 'NO\rOP\r\n', 'NO\nOP\r\n', 'NO\0OP\r\n', '\r\r\n', '\n\r\n'])(
  'the command %j ends the session',
  async (wire) => {
    const seen = await feed(Buffer.from(`${wire}MAIL\r\n`), []);
    expect(seen).toMatchObject({ badEnding: true, lines: [] });
  },
);

test('a line that is too long is answered once, whatever its length, and what follows is read', async () => {
  for (const length of [12_287, 50_000, 500_000]) {
    const seen = await feed(Buffer.from(`${'x'.repeat(length)}\r\nNOOP\r\n`), [10, 20_000, 100_000]);
    expect(seen).toMatchObject({ lines: ['NOOP'], tooLong: 1, badEnding: false });
  }
  expect((await feed(Buffer.from(`${'x'.repeat(12_286)}\r\n`), [])).lines).toHaveLength(1);
});

test('a line that is too long ends the session all the same when its end is not CRLF, or CR or NUL is in it', async () => {
  for (const wrong of [
    `${'x'.repeat(50_000)}\n`,
    `${'x'.repeat(50_000)}\r${'x'.repeat(50_000)}\r\n`,
    `\0${'x'.repeat(50_000)}\r\n`,
  ]) {
    const seen = await feed(Buffer.from(`${wrong}NOOP\r\n`), [10, 20_000, 50_000, 50_001, 70_000]);
    expect(seen).toMatchObject({ lines: [], tooLong: 0, badEnding: true });
  }
  const cutInItsEnd = await feed(Buffer.from(`${'x'.repeat(50_000)}\r\nNOOP\r\n`), [50_001]);
  expect(cutInItsEnd).toMatchObject({ lines: ['NOOP'], tooLong: 1, badEnding: false });
});

test('an unfinished line at the end of the connection is not a command', async () => {
  const seen: string[] = [];
  const stream = new StrictStream({
    onLine: (line) => seen.push(line.toString()),
    onLineTooLong: () => {},
    onBadLineEnding: () => {},
    onEnd: () => {},
  });
  stream.end('RCPT TO:<victim@example.co');
  await new Promise((resolve) => stream.once('finish', resolve));
  expect(seen).toEqual([]);
});

test('stuffed dots cost one pass: a megabyte of them comes out in as many chunks as it went in', async () => {
  let chunks = 0;
  const stream: StrictStream = new StrictStream({
    onLine: (_line, next) => {
      (stream.startDataMode() as PassThrough).on('data', () => chunks++);
      next();
    },
    onLineTooLong: () => {},
    onBadLineEnding: () => {},
    onEnd: () => {},
  });
  await new Promise((resolve) => stream.write(Buffer.from('DATA\r\n'), resolve));
  for (let count = 0; count < 16; count++) {
    await new Promise((resolve) => stream.write(Buffer.from('..\r\n'.repeat(16_384)), resolve));
  }
  expect(chunks).toBe(16);
});
