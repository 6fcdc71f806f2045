// JSON that is read in pieces: the same value as JSON.parse, the same refusals, and long attachments apart from it.
import { isBase64 } from '../../../src/accept/http/base64.js';
import { JsonReader, NotUtf8 } from '../../../src/accept/http/json-body.js';
import { fc, runs } from '../../support/properties.js';

/** @param blockBytes octets looked at in one go. @param shortLength of texts that are not set apart. */
function read(octets: Buffer, pieceBytes: number, blockBytes?: number, shortLength?: number) {
  const reader = new JsonReader(blockBytes, shortLength);
  for (let at = 0; at < octets.length; at += pieceBytes) reader.append(octets.subarray(at, at + pieceBytes));
  return reader.end();
}

function whole(octets: Buffer, ...sizes: [number, number, number]): unknown {
  const { value, longTexts } = read(octets, ...sizes);
  return putBack(value, longTexts);
}

/** By hand: JSON.stringify knows neither -0 nor Infinity, and JSON.parse makes them of `-0` and `5e324`. */
function putBack(value: unknown, texts: ReadonlyMap<string, readonly string[]>): unknown {
  if (typeof value === 'string') return texts.get(value)?.join('') ?? value;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, putBack(each, texts)] as const);
  return Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries);
}

const sizes = fc.tuple(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 1, max: 60 }),
  fc.integer({ min: 0, max: 9 }),
);
const strings = fc.string({ unit: 'binary', maxLength: 60 });
const attachments = fc.array(fc.record({ content: strings }), { maxLength: 3 });
const withAttachments = fc.record({ attachments, content: strings, more: fc.dictionary(strings, strings) });
const values = fc.oneof(fc.jsonValue({ stringUnit: 'binary' }), withAttachments);

/** All that may be escaped is, some clients write `\/`, or nothing is. */
const written = fc.tuple(values, fc.constantFrom('plain', 'slashes', 'escaped')).map(([value, style]) => {
  const json = JSON.stringify(value, null, style === 'slashes' ? 2 : 0);
  if (style === 'slashes') return json.replaceAll('/', '\\/');
  if (style === 'plain') return json;
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
});

test('the value is that of JSON.parse, however the octets are cut', () => {
  fc.assert(
    fc.property(written, sizes, (json, cut) => {
      expect(whole(Buffer.from(json), ...cut)).toEqual(JSON.parse(json));
    }),
    runs(500),
  );
});

test('what JSON.parse refuses is refused, and nothing else', () => {
  const damage = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.constantFrom('', '"', '\\', '\\u12', '\n', '\0', ',', '}'));
  fc.assert(
    fc.property(written, damage, sizes, (json, [at, removed, added], cut) => {
      const start = at % (json.length + 1);
      const octets = Buffer.from(json.slice(0, start) + added + json.slice(start + removed));
      expect(outcome(() => whole(octets, ...cut))).toEqual(outcome(() => JSON.parse(octets.toString())));
    }),
    runs(1000),
  );
});

function outcome(parse: () => unknown): unknown {
  try {
    return { value: parse() };
  } catch (error) {
    return (error as Error).name;
  }
}

test('only the long content of an attachment stays apart, in pieces', () => {
  const content = 'YWJj'.repeat(100_000);
  const json = { attachments: [{ content }, { content: 'YWJj' }], custom_args: { content }, [content]: content };
  const { value, longTexts } = read(Buffer.from(JSON.stringify(json)), 65_536);
  const [long, short] = (value as typeof json).attachments;
  expect(longTexts.size).toBe(1);
  expect(longTexts.get(long!.content)?.join('')).toBe(content);
  expect(Math.max(...longTexts.get(long!.content)!.map(({ length }) => length))).toBeLessThanOrEqual(131_072);
  expect(value).toEqual({ ...json, attachments: [long, short] });
});

test.each(['-0', '[1e308, 10001213176327161e+307]', '{"a":-5e324}'])(
  '%s is the number that JSON.parse makes of it',
  (json) => {
    expect(whole(Buffer.from(json), 3, 7, 5)).toEqual(JSON.parse(json));
  },
);

test('a byte order mark is passed over, and octets that are not UTF-8 are told from JSON that is broken', () => {
  const json = Buffer.from(`\uFEFF{"a":"${'é'.repeat(50)}"}`);
  expect(whole(json, 7, 5, 3)).toEqual({ a: 'é'.repeat(50) });
  for (const broken of [json.subarray(0, 41), json.subarray(0, -1)]) {
    expect(() => read(broken, 7, 5, 3)).toThrow(SyntaxError);
  }
  for (const at of [5, 20, json.length - 1]) {
    const octets = Buffer.from(json);
    octets[at] = 0xff;
    expect(() => read(octets, 7, 5, 3)).toThrow(NotUtf8);
  }
});

test.each([
  [true, ['YWJj']],
  [true, ['YW', 'Jj\r\n', 'YQ=', '= \n']],
  [true, ['YWJ', 'jYQ']],
  [false, ['']],
  [false, ['YWJj', 'YQ=', 'YQ==']],
  [false, ['YWJj', '=', '==']],
  [false, ['YWJj', 'Y']],
  [false, ['YW', '-_']],
])('base64 in pieces: %s for %j', async (is, pieces) => {
  expect(await isBase64(pieces)).toBe(is);
});
