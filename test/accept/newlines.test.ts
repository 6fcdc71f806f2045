import { Newlines } from '../../src/accept/newlines.js';
import { Refusal } from '../../src/message/refusal.js';
import { fc, runs } from '../support/properties.js';

function run(octets: Buffer, cuts: number[], mode: 'normalize' | 'refuse'): Buffer | Refusal {
  const newlines = new Newlines(mode);
  const at = [...new Set(cuts.map((cut) => cut % (octets.length + 1)))].sort((a, b) => a - b);
  const out: Buffer[] = [];
  const pieces = [0, ...at].map((from, index) => octets.subarray(from, at[index] ?? octets.length));
  for (const step of [...pieces.map((piece) => () => newlines.push(piece)), () => newlines.end()]) {
    const result = step();
    if (result instanceof Refusal) return result;
    out.push(Buffer.from(result));
  }
  return Buffer.concat(out);
}

const octets = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', 'a', '\xff'), { maxLength: 30 })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));
const cuts = fc.array(fc.nat(), { maxLength: 8 });

test('normalized text has CRLF line ends alone, wherever it was cut, and clean text is unchanged', () => {
  fc.assert(
    fc.property(octets, cuts, (text, at) => {
      const expected = text.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n');
      expect((run(text, at, 'normalize') as Buffer).toString('latin1')).toBe(expected);
    }),
    runs(2000),
  );
});

test('refusing refuses exactly what normalizing would change', () => {
  fc.assert(
    fc.property(octets, cuts, (text, at) => {
      const changes =
        text
          .toString('latin1')
          .replace(/\r\n/g, '')
          .search(/[\r\n]/) >= 0;
      const result = run(text, at, 'refuse');
      expect(result instanceof Refusal).toBe(changes);
    }),
    runs(2000),
  );
});

test('NUL is refused in both modes', () => {
  for (const mode of ['normalize', 'refuse'] as const) {
    expect(run(Buffer.from('a\0b\r\n'), [1], mode)).toMatchObject({ reason: 'nul-in-message' });
  }
});
