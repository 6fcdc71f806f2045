// What is within a bound is less in every respect, whatever the bound: as a property, not only by examples.
import { isWithin, restrictionsBeyond, withInherited } from '../../src/keys/delegation.js';
import { addressMatches, networkMatches, type Restrictions } from '../../src/keys/policy.js';
import { fc, runs } from '../support/properties.js';

const address = fc.constantFrom(
  'example.com',
  'EXAMPLE.com',
  'a@example.com',
  'b@example.com',
  'a@example.org',
  'sub.example.com',
);
const network = fc.constantFrom(
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.2.3/32',
  '0.0.0.0/0',
  '::/0',
  '2001:db8::/32',
  '::1/128',
);
const allowance = fc.record({ messages: fc.integer({ min: 1, max: 50 }), seconds: fc.integer({ min: 1, max: 50 }) });
const restrictions: fc.Arbitrary<Restrictions> = fc.record(
  {
    ...{ from: fc.array(address, { maxLength: 3 }), to: fc.array(address, { maxLength: 3 }) },
    ...{ ips: fc.array(network, { maxLength: 3 }), expires_at: fc.nat(5), rate: allowance, quota: allowance },
    ...{ max_bytes: fc.nat(5), max_recipients: fc.nat(5), require_tls: fc.boolean() },
  },
  { requiredKeys: [] },
);
const senders = [
  'a@example.com',
  'b@example.com',
  'c@example.com',
  'a@example.org',
  'x@sub.example.com',
  'y@other.example',
];
const clients = ['10.0.0.1', '10.1.2.3', '10.1.9.9', '192.0.2.1', '::1', '2001:db8::1', '2001:db9::1'];

/** The most that an allowance lets through in any time of so many seconds. */
const most = ({ messages, seconds }: { messages: number; seconds: number }, time: number): number =>
  messages + (time * messages) / seconds;

it('nothing within a bound may do what the bound may not', () => {
  fc.assert(
    fc.property(restrictions, restrictions, (wanted, bound) => {
      if (restrictionsBeyond(wanted, bound).length > 0) return;
      for (const name of ['from', 'to'] as const) {
        for (const sender of senders) {
          const [local, domain] = sender.split('@') as [string, string];
          const may = ({ [name]: list }: Restrictions) => !list || addressMatches(list, local, domain);
          expect(may(wanted) && !may(bound)).toBe(false);
        }
      }
      for (const client of clients) {
        const may = ({ ips }: Restrictions) => !ips || networkMatches(ips, client);
        expect(may(wanted) && !may(bound)).toBe(false);
      }
      for (const name of ['expires_at', 'max_bytes', 'max_recipients'] as const) {
        expect(wanted[name] ?? Infinity).toBeLessThanOrEqual(bound[name] ?? Infinity);
      }
      for (const name of ['rate', 'quota'] as const) {
        const [own, limit] = [wanted[name], bound[name]];
        for (const time of limit ? [0, 1, 7, 100, 5000] : []) {
          expect(most(own!, time)).toBeLessThanOrEqual(most(limit!, time) + 1e-6);
        }
      }
      expect(Boolean(bound.require_tls) && !wanted.require_tls).toBe(false);
    }),
    runs(500),
  );
});

it('what is inherited is within the bound, and every bound is within itself', () => {
  fc.assert(
    fc.property(restrictions, (bound) => {
      const powers = { scopes: ['mail.send'], restrictions: bound };
      expect(isWithin(powers, powers)).toBe(true);
      expect(restrictionsBeyond(withInherited({}, powers), bound)).toEqual([]);
    }),
  );
});
