// The calls that send mail, as one plugin: bodies are left to the routes, which read them when the key is known, and
// whatever is thrown on the way becomes an answer in SendGrid's shape.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StoreUnavailable } from '../../base/redis.js';
import { refusalOfFault } from '../fault-refusal.js';
import { faultOfRefusal, RequestFault } from './answers.js';
import type { HttpDoor } from './door.js';
import { mailSendRoutes } from './mail-send.js';

export function sendingRoutes(server: FastifyInstance, door: HttpDoor): void {
  void server.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
    scope.setErrorHandler((error, request, reply) => answerFault(door, error, request, reply));
    mailSendRoutes(scope, door);
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
  if (known.retryAfter !== undefined) reply.header('Retry-After', known.retryAfter);
  return reply.code(known.status).send({ errors: known.faults });
}

function faultOfError(door: HttpDoor, error: unknown, request: FastifyRequest): RequestFault {
  const gone = request.raw.destroyed && !request.raw.complete;
  if (!gone && !(error instanceof StoreUnavailable)) door.log.error({ err: error }, 'an HTTP request failed');
  return faultOfRefusal(refusalOfFault(error));
}
