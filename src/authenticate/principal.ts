// Who is sending: a key that was verified, and what it may do. Nothing of its secret is kept.
import type { Restrictions } from '../keys/policy.js';

export interface Principal {
  keyId: string;
  scopes: readonly string[];
  restrictions: Readonly<Restrictions>;
}
