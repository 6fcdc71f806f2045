// The key of a request: `Authorization: Bearer <key>`, or Basic with the user name `apikey` and the key as password.
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../../authenticate/principal.js';
import { refuse } from '../../message/refusal.js';
import { faultOfRefusal } from './answers.js';
import type { HttpDoor } from './door.js';

/** @throws RequestFault when the key may not send mail. */
export function authenticateSender(door: HttpDoor, request: FastifyRequest): Promise<Principal> {
  const key = keyOf(request.headers.authorization);
  if (key === undefined) throw faultOfRefusal(refuse('auth-required'));
  return authorizeSender(door, request.ip, key);
}

/** @throws RequestFault */
export async function authorizeSender(door: HttpDoor, client: string, key: string): Promise<Principal> {
  const login = await door.authenticator.authorize(key, client, 'mail.send');
  if ('principal' in login) {
    door.metrics.logins.inc({ verdict: 'valid' });
    return login.principal;
  }
  const { refusal, verdict, keyId } = login;
  door.metrics.logins.inc({ verdict });
  door.log.warn({ client, verdict, key: keyId }, 'login refused');
  throw faultOfRefusal(refusal);
}

/** The key in an Authorization header, or undefined when there is none. */
export function keyOf(authorization: string | undefined): string | undefined {
  const [, scheme, credentials] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization ?? '') ?? [];
  if (!scheme || !credentials) return undefined;
  if (scheme.toLowerCase() === 'bearer') return credentials;
  const [, key] = /^apikey:(.+)$/s.exec(Buffer.from(credentials, 'base64').toString()) ?? [];
  return key;
}
