// What a client says in AUTH: the PLAIN (RFC 4616) and LOGIN mechanisms, decoded strictly.
import { refuse, type Refusal } from '../message/refusal.js';

export interface Credentials {
  username: string;
  password: string;
}

/** Canonical or unpadded base64; Node's decoder alone would skip foreign characters. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** The octets of a SASL response as text, or undefined when it is not base64 of UTF-8. `=` is the empty response. */
export function decodeResponse(token: string): string | undefined {
  if (token === '=') return '';
  if (!BASE64.test(token)) return undefined;
  const octets = Buffer.from(token, 'base64');
  const text = octets.toString('utf8');
  return text.includes('\uFFFD') ? undefined : text;
}

/**
 * The message of PLAIN: authzid NUL authcid NUL password. An authorization identity other than the user itself is
 * refused as wrong credentials (RFC 4616 2): a key acts for nobody else.
 */
export function decodePlain(token: string): Credentials | Refusal {
  const parts = decodeResponse(token)?.split('\0');
  if (parts?.length !== 3) return refuse('auth-syntax');
  const [authzid, username, password] = parts as [string, string, string];
  return authzid === '' || authzid === username ? { username, password } : refuse('bad-credentials');
}
