import { endOfHeader, fieldValue, scanHeader } from '../../src/message/header-block.js';

const names = (text: string): string[] => scanHeader(Buffer.from(text)).fields.map(({ name }) => name);

test('fields are found with their folds, in any case, and keep their octets', () => {
  const octets = Buffer.from('Subject: a\r\n b\r\nFROM: x\r\nX-Empty:\r\n\r\nBody: no\r\n');
  const block = scanHeader(octets);
  expect(block.fields.map(({ name }) => name)).toEqual(['subject', 'from', 'x-empty']);
  expect(fieldValue(octets, block.fields[0]!)).toBe('a b');
  expect(octets.subarray(block.length).toString()).toBe('Body: no\r\n');
});

test.each([
  ['', []],
  ['\r\nbody', []],
  ['body without colon\r\n', []],
  [': no name\r\n\r\n', []],
  ['two words: x\r\n\r\n', []],
  ['A: 1\r\nbroken\r\nB: 2\r\n\r\n', ['a']],
  ['A : blank before the colon\r\n\r\n', ['a']],
  ['A: no end', ['a']],
])('of %j the fields are %j', (text, expected) => expect(names(text)).toEqual(expected));

test('the end of the header block is found across any cut', () => {
  const octets = Buffer.from('A: 1\r\nB: 2\r\n\r\nbody');
  for (let cut = 0; cut <= octets.length; cut++) {
    const known = endOfHeader(octets.subarray(0, cut)) >= 0;
    expect(endOfHeader(octets, known ? 0 : cut)).toBe(14);
  }
  expect(endOfHeader(Buffer.from('\r\nbody'))).toBe(2);
  expect(endOfHeader(Buffer.from('A: 1\r\n'))).toBe(-1);
});

test('a hostile header block costs linear time: two megabytes of folds are scanned at once', () => {
  const octets = Buffer.from(`A: ${'x\r\n '.repeat(500_000)}\r\n\r\n`);
  const { fields } = scanHeader(octets);
  expect(fields).toHaveLength(1);
  expect(fieldValue(octets, fields[0]!)).toHaveLength(999_999);
});
