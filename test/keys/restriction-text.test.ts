import {
  readAddressOrDomain,
  readAllowance,
  readCount,
  readDuration,
  readNetwork,
} from '../../src/keys/restriction-text.js';
import { networkMatches } from '../../src/keys/policy.js';

test.each<[string, number]>([
  ['30s', 30],
  ['15m', 900],
  ['24h', 86_400],
  ['90d', 7_776_000],
  ['2w', 1_209_600],
])('%s is %d seconds', (text, seconds) => expect(readDuration(text)).toBe(seconds));

test('a rate is messages and time', () => expect(readAllowance('100/1m')).toEqual({ messages: 100, seconds: 60 }));

test.each<[(text: string) => unknown, string[]]>([
  [readDuration, ['', '90', 'd', '-1d', '0d', '1y', '1 d', '1.5h', '1e3s']],
  [readAllowance, ['', '100', '/1m', '0/1m', '100/', '100/1', 'x/1m']],
  [readNetwork, ['', 'example.com', '10.0.0.0/33', '10.0.0/8', '::/129', '300.0.0.1']],
  [readAddressOrDomain, ['', 'localhost', '@example.com', 'a b@example.com', 'a@', 'a@b@', '.', 'a@.com']],
  [readCount, ['', '0', '-1', '1.5', 'ten', '1e3', '99999999999999999999']],
])('%p refuses what is not one, and says what is', (read, texts) => {
  for (const text of texts) expect(() => read(text)).toThrow(/is (not|neither)/);
});

test('networks match IPv4, IPv6, and IPv4 behind IPv6', () => {
  expect(readNetwork('192.0.2.7')).toBe('192.0.2.7/32');
  expect(readNetwork('::ffff:10.0.0.0/104')).toBe('10.0.0.0/8');
  const networks = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'].map(readNetwork);
  for (const inside of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::1', '192.0.2.7'])
    expect([inside, networkMatches(networks, inside)]).toEqual([inside, true]);
  for (const outside of ['11.0.0.1', '2001:db9::1', '192.0.2.8', '::1', '', 'unknown'])
    expect([outside, networkMatches(networks, outside)]).toEqual([outside, false]);
});
