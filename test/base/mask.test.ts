import { maskKeys } from '../../src/base/mask.js';
import { fc } from '../support/properties.js';

const part = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'aZ09-_'), minLength: length, maxLength: length });
const text = fc.string({ unit: fc.constantFrom(...'a.-{" /é'), maxLength: 60 });

test('what looks like a key loses its secret wherever it stands, and nothing else changes', () => {
  fc.assert(
    fc.property(text, part(22), part(43), text, (before, id, secret, after) => {
      const line = `${before}${id}.${secret}${after}`;
      expect(maskKeys(line)).toBe(line.replace(/([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}/g, '$1.[secret]'));
      expect(maskKeys(line)).not.toContain(`${id}.${secret}`);
    }),
  );
});

test.each([42, 43])('a dot with %i characters behind it is told from a key', (length) => {
  const line = `${'i'.repeat(22)}.${'s'.repeat(length)}`;
  expect(maskKeys(line)).toBe(length === 43 ? `${'i'.repeat(22)}.[secret]` : line);
});
