// Whatever was thrown on the way of a request, as the answer that its client gets: logged, counted, and without the text
// of a fault of ours.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HttpFault } from '../../base/http-error.js';
import { StoreUnavailable } from '../../base/redis.js';
import { refusalOfFault } from '../fault-refusal.js';
import { faultOfRefusal, RequestFault } from './answers.js';
import type { HttpDoor } from './door.js';
import { wholeFault } from './fault.js';

/** Also reads what is left of the body and throws it away, so that the client hears the answer. */
export function refusedFault(door: HttpDoor, error: unknown, request: FastifyRequest): RequestFault {
  request.raw.resume();
  const known = error instanceof RequestFault ? error : faultOfError(door, error, request);
  const reason = known.refusal?.reason;
  const facts = { client: request.ip, status: known.status, ...(reason ? { reason, ...known.refusal?.details } : {}) };
  door.log.info({ ...facts, fault: known.message, field: known.faults[0]?.field ?? undefined }, 'refused');
  if (reason) door.metrics.refused.inc({ reason });
  if (reason !== 'rate-limited' && reason !== 'quota-exhausted') return known;
  const resetAt = Math.ceil(door.clock.now() / 1000) + Number(known.headers['retry-after']);
  const headers = { ...known.headers, 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(resetAt) };
  return new RequestFault(known.status, known.faults, headers, known.refusal);
}

/** The answer of mail/send. */
export function answerFault(
  door: HttpDoor,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { status, headers, faults } = refusedFault(door, error, request);
  return reply.code(status).headers(headers).send({ errors: faults });
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
