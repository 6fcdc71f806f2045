// The calls that send mail, as one plugin: bodies are left to the routes, which read them when the key is known, and
// whatever is thrown on the way becomes an answer in SendGrid's shape.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HttpGate } from '../../authenticate/bearer.js';
import { HttpFault } from '../../base/http-error.js';
import type { HttpServer } from '../../base/http-server.js';
import { StoreUnavailable } from '../../base/redis.js';
import { refusalOfFault } from '../fault-refusal.js';
import { faultOfRefusal, RequestFault } from './answers.js';
import type { HttpDoor } from './door.js';
import { wholeFault } from './fault.js';
import { mailSendRoute } from './mail-send.js';

export function sendingRoutes(server: HttpServer, gate: HttpGate, door: HttpDoor): void {
  void server.register((scope: HttpServer, _options, done) => {
    scope.removeAllContentTypeParsers();
    // The body of a request is its octets, still to be read.
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    // The schemas are for /openapi.json; the routes check, with words of their own.
    scope.setValidatorCompiler(() => () => true);
    scope.setErrorHandler((error, request, reply) => answerFault(door, error, request, reply));
    mailSendRoute(scope, gate, door);
    done();
  });
}

function answerFault(door: HttpDoor, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // What is left of the body is read and thrown away, so that the client hears the answer.
  request.raw.resume();
  const known = error instanceof RequestFault ? error : faultOfError(door, error, request);
  const reason = known.refusal?.reason;
  const facts = { client: request.ip, status: known.status, ...(reason ? { reason, ...known.refusal?.details } : {}) };
  door.log.info({ ...facts, fault: known.message, field: known.faults[0]?.field ?? undefined }, 'refused');
  if (reason) door.metrics.refused.inc({ reason });
  if (known.status === 429 && known.refusal) {
    const resetAt = Math.ceil(door.clock.now() / 1000) + Number(known.headers['retry-after']);
    void reply.headers({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(resetAt) });
  }
  return reply.code(known.status).headers(known.headers).send({ errors: known.faults });
}

function faultOfError(door: HttpDoor, error: unknown, request: FastifyRequest): RequestFault {
  if (error instanceof HttpFault) {
    const faults = error.body.errors.map(({ message, field }) => ({ ...wholeFault(message), field }));
    return new RequestFault(error.statusCode, faults, error.headers);
  }
  const gone = request.raw.destroyed && !request.raw.complete;
  if (!gone && !(error instanceof StoreUnavailable)) door.log.error({ err: error }, 'an HTTP request failed');
  return faultOfRefusal(refusalOfFault(error));
}
