// What a key may do. A key made without scopes has full access, written as '*', so that it also covers scopes
// that later versions add; every other key holds exactly the names it was given.
import { knownScopes } from './known-scopes.js';

export const FULL_ACCESS = '*';

/** SendGrid sets these by itself; they are known, so that lists which hold them are taken, and allow nothing. */
export const AUTOMATIC_SCOPE = /^(2fa_|sender_verification_)/;

/** SendGrid sets these itself, they cannot be asked for; billing never shares a key with anything else. */
const NOT_IN_FULL_ACCESS = /^(2fa_|sender_verification_|billing\.|validations\.)/;

/** Whether `scopes` allow `scope`. */
export function allows(scopes: readonly string[], scope: string): boolean {
  return scopes.includes(scope) || (scopes.includes(FULL_ACCESS) && !NOT_IN_FULL_ACCESS.test(scope));
}

/** The names behind a set of scopes, in alphabetical order. */
export function expandScopes(scopes: readonly string[]): string[] {
  return [...knownScopes].filter((scope) => allows(scopes, scope)).sort();
}

/** The names among `scopes` that nobody knows. */
function unknownScopes(scopes: readonly string[]): string[] {
  return scopes.filter((scope) => scope !== FULL_ACCESS && !knownScopes.has(scope));
}

/** What is wrong with a set of scopes, in words that name the scopes; nothing when it may be given to a key. */
export function scopeProblems(scopes: readonly string[]): string[] {
  const unknown = unknownScopes(scopes);
  if (unknown.length) return [`unknown scope: ${unknown.slice(0, 10).join(', ')} (see docs/scopes.md)`];
  const billing = scopes.some((scope) => scope.startsWith('billing.'));
  const others = scopes.some((scope) => !scope.startsWith('billing.') && !AUTOMATIC_SCOPE.test(scope));
  return billing && others ? ['scopes of billing cannot share a key with any other scope'] : [];
}
