import { Readable } from 'node:stream';
import { framed, Framing } from '../../src/deliver/outgoing-connection.js';
import { fc } from '../support/properties.js';

const onTheWire = (text: string): string => Buffer.concat(framed(Buffer.from(text))).toString();

test.each([
  ['', '.\r\n'],
  ['a\r\n', 'a\r\n.\r\n'],
  ['a', 'a\r\n.\r\n'],
  ['.\r\n', '..\r\n.\r\n'],
  ['.a\r\n..b\r\n', '..a\r\n...b\r\n.\r\n'],
  ['a\r\n.', 'a\r\n..\r\n.\r\n'],
  ['\r\n.\r\n', '\r\n..\r\n.\r\n'],
])('%j goes out as %j', (text, wire) => {
  expect(onTheWire(text)).toBe(wire);
});

test('what a receiver reads is what was stored, and nothing in it ends the data early', () => {
  const line = fc.string({ unit: fc.constantFrom('.', 'a', ' '), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const body = lines.map((text) => `${text}\r\n`).join('');
      const wire = `\r\n${onTheWire(body)}`;
      expect(wire.indexOf('\r\n.\r\n')).toBe(wire.length - 5);
      expect(wire.slice(2, -3).replace(/(^|\r\n)\./g, '$1')).toBe(body);
    }),
  );
});

test('in pieces that end anywhere a message goes out as it does at once', async () => {
  const part = fc.constantFrom('.', 'a', '\r\n', '\r\n.', '\r\n.\r\n');
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 12 }), fc.array(fc.nat(40), { maxLength: 6 }), async (parts, cuts) => {
      const body = Buffer.from(parts.join(''));
      const ends = [...new Set(cuts), body.length].filter((cut) => cut <= body.length).sort((a, b) => a - b);
      const pieces = ends.map((end, at) => body.subarray(ends[at - 1] ?? 0, end));

      const wire = await Readable.from(pieces, { objectMode: false }).pipe(new Framing()).toArray();
      expect(Buffer.concat(wire as Buffer[]).toString()).toBe(onTheWire(body.toString()));
    }),
  );
});
