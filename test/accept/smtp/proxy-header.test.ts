// The PROXY header by itself: what is one, what is the beginning of one, and what is neither.
import { readProxyHeader } from '../../../src/accept/smtp/proxy-header.js';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v1 = (text: string) => Buffer.from(text, 'latin1');
const v2 = (rest: string) => Buffer.from(SIGNATURE + rest, 'hex');
const octets = (count: number) => 'ab'.repeat(count);

const V4 = '2111000cc0000207c6336401d4310019';
const V6 = `21210024${'20010db8000000000000000000000007'}${'20010db8000000000000000000000001'}d4310019`;
const client = { address: '192.0.2.7', port: 54_321 };
const client6 = { address: '2001:db8::7', port: 54_321 };

const GOOD: [string, Buffer, typeof client | undefined][] = [
  ['TCP4', v1('PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n'), client],
  ['TCP6', v1('PROXY TCP6 2001:DB8::7 2001:db8::1 54321 25\r\n'), client6],
  ['UNKNOWN', v1('PROXY UNKNOWN\r\n'), undefined],
  ['UNKNOWN with words, as long as may be', v1(`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`), undefined],
  ['version 2, IPv4', v2(V4), client],
  ['version 2, IPv6', v2(V6), client6],
  ['version 2, IPv4 with TLVs', v2(`21110013${V4.slice(8)}${octets(7)}`), client],
  ['version 2, LOCAL', v2('20000000'), undefined],
  ['version 2, LOCAL with addresses', v2(`20${V4.slice(2)}`), undefined],
];

const BAD: [string, Buffer][] = [
  ['a command', v1('EHLO client.test\r\n')],
  ['small letters', v1('proxy UNKNOWN\r\n')],
  ['a bare LF', v1('PROXY UNKNOWN\n')],
  ['one octet too many', v1(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`)],
  ['no end in 107 octets', v1(`PROXY UNKNOWN ${'f'.repeat(93)}`)],
  ['an unknown family', v1('PROXY UDP4 192.0.2.7 198.51.100.1 54321 25\r\n')],
  ['an address of the other family', v1('PROXY TCP4 2001:db8::7 198.51.100.1 54321 25\r\n')],
  ['a destination that is none', v1('PROXY TCP4 192.0.2.7 256.1.1.1 54321 25\r\n')],
  ['an address with zeros in front', v1('PROXY TCP4 192.0.002.7 198.51.100.1 54321 25\r\n')],
  ['an address with a zone', v1('PROXY TCP6 fe80::1%lo fe80::1 54321 25\r\n')],
  ['a port too high', v1('PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n')],
  ['a port with a zero in front', v1('PROXY TCP4 192.0.2.7 198.51.100.1 054321 25\r\n')],
  ['a field too few', v1('PROXY TCP4 192.0.2.7 198.51.100.1 54321\r\n')],
  ['a field too many', v1('PROXY TCP4 192.0.2.7 198.51.100.1 54321 25 1\r\n')],
  ['two spaces', v1('PROXY TCP4  192.0.2.7 198.51.100.1 54321 25\r\n')],
  ['a NUL', v1('PROXY UNKNOWN \0\r\n')],
  ['version 1 in the binary form', v2(`11${V4.slice(2)}`)],
  ['version 2, an unknown command', v2(`22${V4.slice(2)}`)],
  ['version 2, UDP', v2(`2112${V4.slice(4)}`)],
  ['version 2, PROXY without a family', v2('21000000')],
  ['version 2, a Unix socket', v2(`213100d8${octets(216)}`)],
  ['version 2, too short for its addresses', v2('2111000b')],
  ['version 2, too long', v2('21111001')],
];

it.each(GOOD)('%s is a header, and what follows is left alone', (_name, header, expected) => {
  const read = readProxyHeader(Buffer.concat([header, v1('PROXY UNKNOWN\r\n')]));
  expect(read).toEqual({ length: header.length, ...(expected && { client: expected }) });
});

it.each(GOOD)('%s is incomplete wherever it is cut', (_name, header) => {
  for (let cut = 0; cut < header.length; cut++) expect(readProxyHeader(header.subarray(0, cut))).toBe('incomplete');
});

it.each(BAD)('%s is no header, and never becomes one', (_name, header) => {
  expect(readProxyHeader(header)).toBe('malformed');
  for (let cut = 0; cut < header.length; cut++) expect(typeof readProxyHeader(header.subarray(0, cut))).toBe('string');
});

it('never tells a client that is no address, whatever octets are changed', () => {
  let seed = 7;
  const next = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 5000; round++) {
    const header = Buffer.from(GOOD[next(GOOD.length)]![1]);
    for (let changes = next(4); changes >= 0; changes--) header[next(header.length)] = next(256);
    const read = readProxyHeader(header);
    if (typeof read === 'string') continue;
    expect(read.length).toBeLessThanOrEqual(header.length);
    expect(read.client?.address ?? '::1').toMatch(/^[0-9a-f.:]+$/);
    expect(read.client?.port ?? 0).toBeLessThanOrEqual(65_535);
  }
});
