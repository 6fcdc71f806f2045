// Whether a login may come over a connection without TLS: the rule of smtp.allowInsecureAuth.
import { isLoopback } from '../base/address.js';
import { refuse, type Refusal } from '../message/refusal.js';

export interface LoginConnection {
  /** Of the client. */
  address: string;
  /** Whether it has TLS. */
  secure: boolean;
}

/** The refusal of any login on this connection; nothing where logins are taken. */
export function clearLoginRefusal(
  allowed: 'never' | 'loopback' | 'always',
  { address, secure }: LoginConnection,
): Refusal | undefined {
  if (secure || allowed === 'always') return undefined;
  return allowed === 'loopback' && isLoopback(address) ? undefined : refuse('auth-needs-tls');
}
