// Forms that are read in pieces: the fields are those of URLSearchParams, however the octets are cut.
import { UrlencodedReader } from '../../../src/accept/http/urlencoded.js';
import { fc, runs } from '../../support/properties.js';

function read(octets: Buffer, pieceBytes: number): [string, string][] {
  const fields: [string, string][] = [];
  const reader = new UrlencodedReader((name, value) => fields.push([name.toString(), value.toString()]));
  for (let at = 0; at < octets.length; at += pieceBytes) reader.append(octets.subarray(at, at + pieceBytes));
  reader.end();
  return fields;
}

const text = fc.string({ unit: 'grapheme' });
const form = fc.oneof(
  fc.array(fc.tuple(text, text)).map((pairs) => new URLSearchParams(pairs).toString()),
  // What no client would write.
  fc.string({ unit: fc.constantFrom('%', '&', '=', '+', '4', '1', 'a', 'F', 'z') }),
);

test('fields, escapes and blanks are read as URLSearchParams reads them', () => {
  fc.assert(
    fc.property(form, fc.integer({ min: 1, max: 9 }), (encoded, pieceBytes) => {
      const named = [...new URLSearchParams(encoded)].filter(([name]) => name !== '');
      expect(read(Buffer.from(encoded), pieceBytes)).toEqual(named);
    }),
    runs(1000),
  );
});

test('a value may be any octets', () => {
  const values: Buffer[] = [];
  const reader = new UrlencodedReader((_name, value) => values.push(value));
  reader.append(Buffer.from('a=%ff%00%C3'));
  reader.end();
  expect(values).toEqual([Buffer.from([0xff, 0, 0xc3])]);
});
