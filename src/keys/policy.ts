// What a key is restricted to. Absent means unrestricted; present means exactly what it lists, so that an empty
// list allows nothing (promise 8: a restriction never widens). The member names are those of the HTTP API.
import { domainToASCII, domainToUnicode } from 'node:url';
import ipaddr from 'ipaddr.js';

export interface Restrictions {
  /** Senders: addresses (`a@example.com`) or whole domains (`example.com`), for MAIL FROM and every header From. */
  from?: string[];
  /** Recipient addresses or domains. */
  to?: string[];
  /** Client networks in CIDR notation. */
  ips?: string[];
  /** Seconds since the epoch; from then on the key is dead. */
  expires_at?: number;
  /** At most so many messages in any window of so many seconds. */
  rate?: Allowance;
  /** At most so many messages in each period of so many seconds, counted from the first. */
  quota?: Allowance;
  max_bytes?: number;
  max_recipients?: number;
  require_tls?: boolean;
}

export interface Allowance {
  messages: number;
  seconds: number;
}

/**
 * Whether an address is one of `allowed`: the same address (its domain in any case, and an international one in either
 * form) or in one of the domains.
 */
export function addressMatches(allowed: readonly string[], local: string, domain: string): boolean {
  const wanted = comparableDomain(domain);
  return allowed.some((entry) => {
    const at = entry.lastIndexOf('@');
    if (at < 0) return comparableDomain(entry) === wanted;
    return entry.slice(0, at) === local && comparableDomain(entry.slice(at + 1)) === wanted;
  });
}

/**
 * A domain in the one form in which domains are compared: small letters, and U-labels as A-labels (RFC 5890 2.3.2.1).
 * A label that only becomes one by being mapped, as with wide letters, stays what it is and equals nothing else.
 */
export function comparableDomain(domain: string): string {
  const small = domain.toLowerCase();
  if (/^[\x00-\x7F]*$/.test(small)) return small;
  return small.normalize().split('.').map(comparableLabel).join('.');
}

function comparableLabel(label: string): string {
  const ascii = domainToASCII(label);
  return ascii && domainToUnicode(ascii) === label ? ascii : label;
}

/** Whether a client address lies in one of the networks; IPv4-mapped IPv6 counts as IPv4. */
export function networkMatches(networks: readonly string[], address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const client = ipaddr.process(address);
  return networks.some((network) => {
    const [base, bits] = ipaddr.parseCIDR(network);
    return base.kind() === client.kind() && client.match(base, bits);
  });
}
