// Turns credentials into a principal, or into the refusal that a client may see. The log gets the real verdict,
// the client never learns more than the table of refusals says.
import { allows } from '../keys/scopes.js';
import type { KeyVerifier, Verdict } from '../keys/verify.js';
import type { KeyUsage } from '../keys/usage.js';
import type { Refusal } from '../message/refusal.js';
import { refuse } from '../message/refusal.js';
import type { LoginGuard } from './login-guard.js';
import type { Principal } from './principal.js';
import type { Credentials } from './sasl.js';

/** The one user name; the key is the password. */
const USERNAME = 'apikey';
/** The scope of whoever sends mail. */
export const SEND = 'mail.send';

/** `held-back`: not looked at, because too many keys of a blocked address would have to be looked up. */
export type VerdictKind = Verdict['kind'] | 'bad-username' | 'no-scope' | 'held-back';

/** What somebody says who tries keys. A good key that lacks a scope, and a store that is away, are no guesses. */
const GUESSES = new Set<VerdictKind>([
  'malformed',
  'bad-username',
  'unknown',
  'revoked',
  'expired',
  'rotated',
  'denied-ip',
]);

export interface Denial {
  refusal: Refusal;
  /** For the log and the metrics. */
  verdict: VerdictKind;
  /** The key that was tried, where it exists. */
  keyId?: string;
}

/** Whether the guard has said of the address that it is blocked: that is no news at each of its attempts. */
export const isBlocked = ({ refusal, verdict }: { refusal: Refusal; verdict: string }): boolean =>
  refusal.reason === 'too-many-failed-logins' || verdict === 'held-back';

/** Whether the guard counts a denial, and answers it in other words while the address is blocked. */
export const isGuess = ({ verdict }: Denial): boolean => GUESSES.has(verdict);

export type Login = { principal: Principal } | Denial;

export class Authenticator {
  constructor(
    private readonly verifier: KeyVerifier,
    private readonly usage: KeyUsage,
    private readonly guard: Pick<LoginGuard, 'mayLookUp' | 'failed'>,
  ) {}

  /** A login that wants to send mail. @param address the client's. @param helo what it calls itself. */
  async logIn({ username, password }: Credentials, address: string, helo: string): Promise<Login> {
    if (username === USERNAME) return this.authorize(password, address, SEND, helo);
    const denial: Denial = { refusal: refuse('bad-credentials'), verdict: 'bad-username' };
    return this.#guarded(denial, address, `${username}\0${password}`);
  }

  /**
   * A key that was presented for something that needs `scope` (over HTTP, or AUTH for mail.send), or just a key.
   * @param helo what the client calls itself, '' over HTTP.
   */
  async authorize(key: string, address: string, scope: string | undefined, helo = ''): Promise<Login> {
    if (this.verifier.needsStore(key) && !this.guard.mayLookUp(address)) {
      return { refusal: refuse('auth-unavailable'), verdict: 'held-back' };
    }
    const login = judge(await this.verifier.verify(key, address), scope);
    if ('refusal' in login) return this.#guarded(login, address, key);
    this.noteUse(login.principal, { address, helo });
    return login;
  }

  /** A login that cannot even be read counts as one that failed. @returns what the client is told. */
  async malformed(refusal: Refusal, address: string): Promise<Denial> {
    const denial: Denial = { refusal, verdict: 'malformed' };
    return refusal.reason === 'auth-cancelled' ? denial : this.#guarded(denial, address, refusal.reason);
  }

  /** Counts what may be a guess; whoever guesses too much waits for the refusal, and then reads another one. */
  async #guarded(denial: Denial, address: string, presented: string): Promise<Denial> {
    if (!isGuess(denial)) return denial;
    const refusal = await this.guard.failed(address, presented);
    return refusal ? { ...denial, refusal } : denial;
  }

  /** A message was sent with the key, or somebody logged in: for its `last used`. */
  noteUse({ keyId, secret }: Principal, { address, helo }: { address: string; helo: string }): void {
    this.usage.note(keyId, address);
    if (secret.isOld) this.usage.noteOld(keyId, secret.mark, { address, helo });
  }

  /**
   * Whether the key of a session may still send; answers at once while nothing has changed. A key that died is
   * `key-revoked`; keys that cannot be checked now are a temporary fault, never a revocation.
   */
  recheck(principal: Principal, address: string): Refusal | Principal | Promise<Refusal | Principal> {
    const verdict = this.verifier.recheck(principal.keyId, principal.secret.mark, address);
    return verdict instanceof Promise ? verdict.then(recheckOutcome) : recheckOutcome(verdict);
  }
}

function recheckOutcome(verdict: Verdict): Refusal | Principal {
  const login = judge(verdict, SEND);
  if ('principal' in login) return login.principal;
  return refuse(login.verdict === 'unavailable' ? 'storage-away' : 'key-revoked');
}

/** What a verdict on a key means for whoever needs `scope`, or just a key. */
export function judge(verdict: Verdict, scope: string | undefined): Login {
  switch (verdict.kind) {
    case 'valid': {
      const { id, scopes, restrictions } = verdict.key;
      if (scope !== undefined && !allows(scopes, scope))
        return { refusal: refuse('no-send-scope'), verdict: 'no-scope', keyId: id };
      return { principal: { keyId: id, secret: verdict.secret, scopes, restrictions } };
    }
    case 'malformed':
      return { refusal: refuse('bad-credentials'), verdict: 'malformed' };
    case 'unavailable':
      return { refusal: refuse('auth-unavailable'), verdict: 'unavailable' };
    case 'unknown':
      return { refusal: refuse('bad-key'), verdict: 'unknown', ...(verdict.key && { keyId: verdict.key.id }) };
    case 'revoked':
    case 'expired':
    case 'rotated':
    case 'denied-ip':
      return { refusal: refuse('bad-key'), verdict: verdict.kind, keyId: verdict.key.id };
  }
}
