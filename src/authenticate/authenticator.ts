// Turns credentials into a principal, or into the refusal that a client may see. The log gets the real verdict,
// the client never learns more than the table of refusals says.
import { allows } from '../keys/scopes.js';
import type { KeyVerifier, Verdict } from '../keys/verify.js';
import type { KeyUsage } from '../keys/usage.js';
import type { Refusal } from '../message/refusal.js';
import { refuse } from '../message/refusal.js';
import type { Principal } from './principal.js';
import type { Credentials } from './sasl.js';

/** The one user name; the key is the password. */
const USERNAME = 'apikey';
const SEND = 'mail.send';

export type VerdictKind = Verdict['kind'] | 'bad-username' | 'no-scope';

export interface Denial {
  refusal: Refusal;
  /** For the log and the metrics. */
  verdict: VerdictKind;
  /** The key that was tried, where it exists. */
  keyId?: string;
}

export type Login = { principal: Principal } | Denial;

export class Authenticator {
  constructor(
    private readonly verifier: KeyVerifier,
    private readonly usage: KeyUsage,
  ) {}

  /** A login that wants to send mail. @param address the client's. */
  async logIn(credentials: Credentials, address: string): Promise<Login> {
    if (credentials.username !== USERNAME) return { refusal: refuse('bad-credentials'), verdict: 'bad-username' };
    return this.authorize(credentials.password, address, SEND);
  }

  /** A key that was presented for something that needs `scope` (over HTTP, or AUTH for mail.send), or just a key. */
  async authorize(key: string, address: string, scope: string | undefined): Promise<Login> {
    const login = judge(await this.verifier.verify(key, address), scope);
    if ('principal' in login) this.usage.note(login.principal.keyId, address);
    return login;
  }

  /** A message was sent with the key: for its `last used`. */
  noteUse(principal: Principal, address: string): void {
    this.usage.note(principal.keyId, address);
  }

  /**
   * Whether the key of a session may still send; answers at once while nothing has changed. A key that died is
   * `key-revoked`; keys that cannot be checked now are a temporary fault, never a revocation.
   */
  recheck(principal: Principal, address: string): Refusal | Principal | Promise<Refusal | Principal> {
    const verdict = this.verifier.recheck(principal.keyId, address);
    return verdict instanceof Promise ? verdict.then(recheckOutcome) : recheckOutcome(verdict);
  }
}

function recheckOutcome(verdict: Verdict): Refusal | Principal {
  const login = judge(verdict, SEND);
  if ('principal' in login) return login.principal;
  return refuse(login.verdict === 'unavailable' ? 'storage-away' : 'key-revoked');
}

function judge(verdict: Verdict, scope: string | undefined): Login {
  switch (verdict.kind) {
    case 'valid': {
      const { id, scopes, restrictions } = verdict.key;
      if (scope !== undefined && !allows(scopes, scope))
        return { refusal: refuse('no-send-scope'), verdict: 'no-scope', keyId: id };
      return { principal: { keyId: id, scopes, restrictions } };
    }
    case 'malformed':
      return { refusal: refuse('bad-credentials'), verdict: 'malformed' };
    case 'unavailable':
      return { refusal: refuse('auth-unavailable'), verdict: 'unavailable' };
    case 'unknown':
      return { refusal: refuse('bad-key'), verdict: 'unknown' };
    case 'revoked':
    case 'expired':
    case 'denied-ip':
      return { refusal: refuse('bad-key'), verdict: verdict.kind, keyId: verdict.key.id };
  }
}
