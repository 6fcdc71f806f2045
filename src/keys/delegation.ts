// What a key may hand on. Promise: a key never exceeds the key that made or changed it, neither in scopes nor in any
// restriction, so that whoever holds a narrow key cannot make a wider one.
import ipaddr from 'ipaddr.js';
import { addressMatches, comparableDomain, type Allowance, type Restrictions } from './policy.js';
import { allows, AUTOMATIC_SCOPE, expandScopes, FULL_ACCESS } from './scopes.js';

export interface Powers {
  scopes: readonly string[];
  restrictions: Readonly<Restrictions>;
}

/** One thing that is not allowed, and the dotted path of the member that asks for it. */
export interface Problem {
  field: string;
  message: string;
}

/** What a key gets whose scopes were left out: all that may be handed on. */
export function scopesToHandOn(giver: Powers): string[] {
  if (giver.scopes.includes(FULL_ACCESS)) return [FULL_ACCESS];
  return expandScopes(giver.scopes).filter((scope) => allows([FULL_ACCESS], scope));
}

/** The restrictions asked for, and those of the giver wherever nothing was asked for. */
export function withInherited(wanted: Readonly<Restrictions>, giver: Powers): Restrictions {
  return { ...giver.restrictions, ...wanted };
}

/** Scopes of `wanted` that the giver does not hold. Those that SendGrid sets by itself give no power to anybody. */
export function scopesBeyond(wanted: readonly string[], giver: Powers): string[] {
  return wanted.filter((scope) => !allows(giver.scopes, scope) && !AUTOMATIC_SCOPE.test(scope));
}

/** Where `wanted` is wider than `bound`; nothing when it is as narrow or narrower. */
export function restrictionsBeyond(wanted: Readonly<Restrictions>, bound: Readonly<Restrictions>): Problem[] {
  const problems = [
    ...listBeyond('from', wanted.from, bound.from, coversAddress),
    ...listBeyond('to', wanted.to, bound.to, coversAddress),
    ...listBeyond('ips', wanted.ips, bound.ips, coversNetwork),
    ...numberBeyond('expires_at', wanted.expires_at, bound.expires_at),
    ...numberBeyond('max_bytes', wanted.max_bytes, bound.max_bytes),
    ...numberBeyond('max_recipients', wanted.max_recipients, bound.max_recipients),
    ...allowanceBeyond('rate', wanted.rate, bound.rate),
    ...allowanceBeyond('quota', wanted.quota, bound.quota),
  ];
  if (bound.require_tls && !wanted.require_tls) problems.push(problem('require_tls', 'must be true'));
  return problems;
}

/** Whether a key of `wanted` could do nothing that `bound` could not. */
export function isWithin(wanted: Powers, bound: Powers): boolean {
  return (
    scopesBeyond(wanted.scopes, bound).length === 0 &&
    restrictionsBeyond(wanted.restrictions, bound.restrictions).length === 0
  );
}

const problem = (name: string, what: string): Problem => ({
  field: `restrictions.${name}`,
  message: `${what}: a key cannot be less restricted than the one that makes or changes it`,
});

function listBeyond(
  name: string,
  wanted: readonly string[] | undefined,
  bound: readonly string[] | undefined,
  covers: (bound: readonly string[], entry: string) => boolean,
): Problem[] {
  if (!bound) return [];
  const within = `must be within ${bound.join(', ') || 'nothing'}`;
  if (!wanted) return [problem(name, within)];
  return wanted.flatMap((entry, at) => (covers(bound, entry) ? [] : [problem(`${name}.${at}`, within)]));
}

/** An entry is an address or a domain; a domain is covered by a domain alone. */
function coversAddress(bound: readonly string[], entry: string): boolean {
  const at = entry.lastIndexOf('@');
  const domain = comparableDomain(entry.slice(at + 1));
  return at < 0
    ? bound.some((each) => comparableDomain(each) === domain)
    : addressMatches(bound, entry.slice(0, at), domain);
}

function coversNetwork(bound: readonly string[], entry: string): boolean {
  const [address, bits] = ipaddr.parseCIDR(entry);
  return bound.some((network) => {
    const [base, length] = ipaddr.parseCIDR(network);
    return base.kind() === address.kind() && length <= bits && address.match(base, length);
  });
}

function numberBeyond(name: string, wanted: number | undefined, bound: number | undefined): Problem[] {
  if (bound === undefined || (wanted !== undefined && wanted <= bound)) return [];
  return [problem(name, `must be at most ${bound}`)];
}

/** Neither more at once nor more in the long run. */
function allowanceBeyond(name: string, wanted: Allowance | undefined, bound: Allowance | undefined): Problem[] {
  if (!bound) return [];
  const isWithinBound =
    wanted && wanted.messages <= bound.messages && wanted.messages * bound.seconds <= bound.messages * wanted.seconds;
  return isWithinBound ? [] : [problem(name, `must be at most ${bound.messages} messages in ${bound.seconds} seconds`)];
}
