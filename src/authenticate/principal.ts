// Who is sending: a key that was verified, and what it may do. Nothing of its secret is kept but a mark.
import type { Restrictions } from '../keys/policy.js';
import type { Secret } from '../keys/verify.js';

export interface Principal {
  keyId: string;
  /** With which of the key's secrets it logged in. */
  secret: Secret;
  scopes: readonly string[];
  restrictions: Readonly<Restrictions>;
}
