// Which addresses and networks a restriction means.
import { restrictionsBeyond } from '../../src/keys/delegation.js';
import { addressMatches, networkMatches } from '../../src/keys/policy.js';

const A_LABEL = 'xn--bcher-kva.example';
const U_LABEL = 'bücher.example';

describe('a domain is the same', () => {
  test.each([
    [U_LABEL, A_LABEL],
    [A_LABEL, U_LABEL],
    ['BÜCHER.example', A_LABEL],
    [U_LABEL.normalize('NFD'), A_LABEL],
    ['XN--BCHER-KVA.Example', U_LABEL],
    ['mail.straße.example', 'mail.xn--strae-oqa.example'],
    ['Example.COM', 'eXample.com'],
  ])('written as %s and as %s', (listed, domain) => {
    expect(addressMatches([listed], 'a', domain)).toBe(true);
    expect(addressMatches([`a@${listed}`], 'a', domain)).toBe(true);
    expect(addressMatches([`A@${listed}`], 'a', domain)).toBe(false);
    expect(restrictionsBeyond({ from: [domain] }, { from: [listed] })).toEqual([]);
    expect(restrictionsBeyond({ to: [`a@${domain}`] }, { to: [listed] })).toEqual([]);
  });

  test.each([
    ['example.com', 'ｅxample.com'],
    ['example.com', 'exa\u00ADmple.com'],
    ['strasse.example', 'straße.example'],
    ['bucher.example', U_LABEL],
    [U_LABEL, `mail.${U_LABEL}`],
    ['xn--a.example', 'xn--b.example'],
    ['\u{1F4A9}\u200D.example', '\u200D.example'],
  ])('but not when it is %s and %s', (listed, domain) => {
    expect(addressMatches([listed], 'a', domain)).toBe(false);
    expect(restrictionsBeyond({ from: [domain] }, { from: [listed] })).toHaveLength(1);
  });
});

test.each([
  ['10.0.0.0/8', '::ffff:10.0.0.1', true],
  ['10.0.0.0/8', '::ffff:a00:1', true],
  ['10.0.0.0/8', '::ffff:11.0.0.1', false],
  ['10.0.0.0/8', '::a00:1', false],
  ['2001:db8::/32', '2001:db8::1', true],
  ['::/0', '10.0.0.1', false],
  ['0.0.0.0/0', '::1', false],
  ['10.0.0.0/8', '', false],
  ['10.0.0.0/8', 'unknown', false],
])('of the network %s the client %s is one: %s', (network, client, expected) => {
  expect(networkMatches([network], client)).toBe(expected);
});
