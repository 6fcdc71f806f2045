// Who calls over HTTP: `Authorization: Bearer <key>`, or Basic with the user name `apikey`, as a principal that holds
// a scope. A key is read from this header and from nowhere else, so that none is accepted in a URL.
// Promise: the same key, from the same place, is judged as over SMTP; only the words differ, and they are SendGrid's.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorBody, HttpFault, mailErrorBody } from '../base/http-error.js';
import type { HttpServer } from '../base/http-server.js';
import { refuse } from '../message/refusal.js';
import { isBlocked, type Authenticator, type Denial, type VerdictKind } from './authenticator.js';
import type { Principal } from './principal.js';
import type { RateView, RequestRate } from './request-rate.js';

type HttpVerdict = VerdictKind | 'tls-required';

export interface HttpGateParts {
  authenticator: Pick<Authenticator, 'authorize' | 'malformed'>;
  requests: RequestRate;
  /** The room that the key's own restriction leaves, for keys that have one. */
  messageRate: (principal: Principal) => Promise<RateView | undefined>;
  /** @param isNews false for the attempts of a client that is known to be blocked. */
  onLogin: (verdict: HttpVerdict, client: string, keyId: string | undefined, isNews: boolean) => void;
}

/** Whose words a refusal has: those of the management calls, or those of mail/send. */
type Wording = 'management' | 'mail';

const UNAUTHORIZED = { 'www-authenticate': 'Bearer realm="postern"' };
const FORBIDDEN = new HttpFault(403, errorBody('access forbidden'));
const TOO_MANY = new HttpFault(429, errorBody('too many requests'));
const BLOCKED = 'too-many-failed-logins';
const UNAVAILABLE = new HttpFault(503, errorBody('service unavailable'));

export class HttpGate {
  readonly #principals = new WeakMap<FastifyRequest, Principal>();

  constructor(private readonly parts: HttpGateParts) {}

  /** Puts X-RateLimit-* on every answer under /v3. */
  install(server: HttpServer): void {
    server.addHook('onSend', async (request, reply) => {
      if (!request.url.startsWith('/v3/')) return;
      const principal = this.#principals.get(request);
      // The key's own rate is looked at after the work, so that a message of this request is counted.
      const view =
        reply.statusCode !== 429 && principal && (await this.parts.messageRate(principal).catch(() => undefined));
      if (view) tellRate(reply, view);
      else if (!reply.hasHeader('x-ratelimit-limit')) tellRate(reply, this.parts.requests.take(request.ip));
    });
  }

  /**
   * The onRequest hook of a route, which answers whoever may not call it.
   * @param scope what the key must hold; undefined: any valid key.
   */
  guard(scope: string | undefined, wording: Wording = 'management') {
    return (request: FastifyRequest, reply: FastifyReply): Promise<void> =>
      this.admit(presentedKey(request.headers.authorization), scope, request, reply, wording);
  }

  /**
   * The same for a route that has the key from elsewhere (an old call has it in its form).
   * @throws HttpFault for whoever may not call it.
   */
  async admit(
    key: string | undefined,
    scope: string | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
    wording: Wording,
  ): Promise<void> {
    if (key === undefined) {
      // Nothing at all is no guess: a browser that looks around.
      const denial =
        request.headers.authorization !== undefined &&
        (await this.parts.authenticator.malformed(refuse('bad-credentials'), request.ip));
      const answer = denial && denial.refusal.reason === BLOCKED ? answerTo(denial, wording) : missingKey(wording);
      this.#refuse({ verdict: 'malformed', isNews: !(denial && isBlocked(denial)) }, request, reply, answer);
    }
    const login = await this.parts.authenticator.authorize(key, request.ip, scope);
    if ('refusal' in login) {
      this.#refuse({ ...login, isNews: !isBlocked(login) }, request, reply, answerTo(login, wording));
    }
    const { principal } = login;
    if (principal.restrictions.require_tls && request.protocol !== 'https') {
      const denial = { verdict: 'tls-required', keyId: principal.keyId, isNews: true } as const;
      this.#refuse(denial, request, reply, tlsFault(wording));
    }
    this.parts.onLogin('valid', request.ip, principal.keyId, true);
    this.#principals.set(request, principal);
    this.#count(principal.keyId, reply);
  }

  /** Who makes this request; its route has the guard. */
  principal(request: FastifyRequest): Principal {
    const principal = this.#principals.get(request);
    if (!principal) throw new Error('this route has no guard');
    return principal;
  }

  #count(who: string, reply: FastifyReply): void {
    const view = this.parts.requests.take(who);
    tellRate(reply, view);
    if (view.exceeded) throw TOO_MANY;
  }

  /** A client that guesses is limited too, by its address. */
  #refuse(
    { verdict, keyId, isNews }: { verdict: HttpVerdict; keyId?: string; isNews: boolean },
    request: FastifyRequest,
    reply: FastifyReply,
    answer: HttpFault,
  ): never {
    this.parts.onLogin(verdict, request.ip, keyId, isNews);
    this.#count(request.ip, reply);
    throw answer;
  }
}

/** The key in the header, undefined when there is none or another kind of credentials. */
function presentedKey(header = ''): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(header)?.[1];
  if (bearer !== undefined) return bearer;
  const basic = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  const [user, ...password] = Buffer.from(basic ?? '', 'base64')
    .toString('utf8')
    .split(':');
  return user === 'apikey' ? password.join(':') : undefined;
}

function missingKey(wording: Wording): HttpFault {
  return unauthorized(wording, 'Permission denied, wrong credentials');
}

/** @param mailText what mail/send says; everything else says the same to all. */
function unauthorized(wording: Wording, mailText: string): HttpFault {
  const body = wording === 'mail' ? mailErrorBody(mailText) : errorBody('authorization required');
  return new HttpFault(401, body, UNAUTHORIZED);
}

function tlsFault(wording: Wording): HttpFault {
  const text = 'this key requires TLS: use https';
  return new HttpFault(403, wording === 'mail' ? mailErrorBody(text) : errorBody(text));
}

function answerTo({ verdict, refusal }: Denial, wording: Wording): HttpFault {
  if (refusal.reason === BLOCKED) {
    const body = wording === 'mail' ? mailErrorBody(refusal.text) : errorBody(refusal.text);
    return new HttpFault(429, body, { 'retry-after': String(refusal.details.seconds) });
  }
  if (verdict === 'unavailable' || verdict === 'held-back') return UNAVAILABLE;
  if (verdict === 'denied-ip') return FORBIDDEN;
  if (verdict === 'no-scope') {
    return wording === 'mail' ? unauthorized(wording, 'Authenticated user is not authorized to send mail') : FORBIDDEN;
  }
  return unauthorized(wording, 'The provided authorization grant is invalid, expired, or revoked');
}

function tellRate(reply: FastifyReply, { limit, remaining, resetAt }: RateView): void {
  void reply.headers({
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(resetAt),
  });
}
