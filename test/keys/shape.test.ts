import { systemRandom } from '../../src/base/ids.js';
import { maskKeys } from '../../src/base/mask.js';
import { makeKey, parseKey } from '../../src/keys/shape.js';
import { fc, runs } from '../support/properties.js';

test('a key has the shape of a SendGrid key, and is read back', () => {
  for (let count = 0; count < 500; count++) {
    const { id, text } = makeKey('SG', systemRandom);
    expect(text).toMatch(/^SG\.[A-Za-z0-9_-]{21}[AQgw]\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/);
    expect(text).toHaveLength(69);
    expect(id).not.toMatch(/^-/);
    expect(text.split('.')[1]).toBe(id);
    expect(Buffer.from(id, 'base64url')[6]! >> 4).toBe(4);
    expect(parseKey('SG', text)).toEqual({ id, text });
  }
});

test('no other text of the same length is a key but by chance of one in four thousand million', () => {
  const { text } = makeKey('SG', systemRandom);
  const place = fc.nat(text.length - 1);
  const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= ');
  fc.assert(
    fc.property(place, character, (at, to) => {
      const other = text.slice(0, at) + to + text.slice(at + 1);
      fc.pre(other !== text);
      expect(parseKey('SG', other)).toBeUndefined();
    }),
    runs(3000),
  );
  fc.assert(fc.property(fc.string(), (any) => parseKey('SG', any) === undefined));
});

test('a key of another prefix is none', () => {
  const { text } = makeKey('SG', systemRandom);
  expect(parseKey('PT', text)).toBeUndefined();
  expect(parseKey('PT', text.replace('SG', 'PT'))).toBeUndefined();
});

test('masking keeps the id and blanks the secret, wherever the key stands', () => {
  const { id, text } = makeKey('SG', systemRandom);
  expect(maskKeys(`<${text}> and ${text}`)).toBe(`<SG.${id}.[secret]> and SG.${id}.[secret]`);
});
