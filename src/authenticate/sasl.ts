// What a client says in AUTH: the PLAIN (RFC 4616) and LOGIN mechanisms, decoded strictly.
import { isUtf8 } from 'node:buffer';
import { refuse, type Refusal } from '../message/refusal.js';

export interface Credentials {
  username: string;
  password: string;
}

/** The octets of a SASL response as text, or undefined when it is not base64 of UTF-8. `=` is the empty response. */
export function decodeResponse(token: string): string | undefined {
  if (token === '=') return '';
  const octets = Buffer.from(token, 'base64');
  // Node's decoder skips what is foreign, and takes what is not padded or has bits to spare (RFC 4648 3.5).
  if (octets.toString('base64') !== token) return undefined;
  return isUtf8(octets) ? octets.toString() : undefined;
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
