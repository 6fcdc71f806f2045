// One AUTH command and its challenges (RFC 4954, LOGIN as everybody speaks it). Ends in credentials or a refusal;
// what the client sent is kept nowhere.
import { decodePlain, decodeResponse, type Credentials } from '../../authenticate/sasl.js';
import { refuse, type Refusal } from '../../message/refusal.js';

export type AuthStep = { challenge: string } | { credentials: Credentials } | { refusal: Refusal };

const USERNAME_CHALLENGE = Buffer.from('Username:').toString('base64');
const PASSWORD_CHALLENGE = Buffer.from('Password:').toString('base64');

export class AuthExchange {
  #username: string | undefined;

  private constructor(private readonly mechanism: 'PLAIN' | 'LOGIN') {}

  /** Begins with the arguments of AUTH. The exchange is needed for the steps after a challenge. */
  static begin(args: string[]): { exchange: AuthExchange; step: AuthStep } | Refusal {
    const [mechanism, initial, ...more] = args;
    const name = mechanism?.toUpperCase();
    if (!name || more.length) return refuse('bad-arguments', { syntax: 'AUTH mechanism [initial-response]' });
    if (name !== 'PLAIN' && name !== 'LOGIN') return refuse('auth-mechanism');
    const exchange = new AuthExchange(name);
    return { exchange, step: initial === undefined ? exchange.#challenge() : exchange.respond(initial) };
  }

  /** Takes the client's answer to a challenge. */
  respond(token: string): AuthStep {
    if (token === '*') return { refusal: refuse('auth-cancelled') };
    if (this.mechanism === 'PLAIN') {
      const plain = decodePlain(token);
      return 'reason' in plain ? { refusal: plain } : { credentials: plain };
    }
    const text = decodeResponse(token);
    if (text === undefined) return { refusal: refuse('auth-syntax') };
    if (this.#username !== undefined) return { credentials: { username: this.#username, password: text } };
    this.#username = text;
    return this.#challenge();
  }

  #challenge(): AuthStep {
    if (this.mechanism === 'PLAIN') return { challenge: '' };
    return { challenge: this.#username === undefined ? USERNAME_CHALLENGE : PASSWORD_CHALLENGE };
  }
}
