// What an API client is told when something is refused: the statuses and words of SendGrid, made from the one table of
// refusals. What only HTTP can refuse (a Content-Type, an encoding) is a RequestFault of its own.
import type { Reason, Refusal } from '../../message/refusal.js';
import { wholeFault, type Fault } from './fault.js';

/** Thrown anywhere on the way of a request; it is the answer. */
export class RequestFault extends Error {
  override readonly name = 'RequestFault';

  constructor(
    readonly status: number,
    readonly faults: Fault[],
    /** Seconds after which the client may try again. */
    readonly retryAfter?: number,
    /** For the log and the figures, where it comes from the table of refusals. */
    readonly refusal?: Refusal,
  ) {
    super(faults[0]?.message ?? '');
  }
}

const GRANT = 'The provided authorization grant is invalid, expired, or revoked';

/** Where SendGrid's API says it in other words than its SMTP service, or with another status. */
const API_WORDS: Partial<Record<Reason, { message: string; status?: number }>> = {
  'auth-required': { message: 'Permission denied, wrong credentials' },
  'bad-credentials': { message: GRANT },
  'bad-key': { message: GRANT },
  'key-revoked': { message: GRANT },
  // 401, where every other call that lacks a scope is answered 403.
  'no-send-scope': { message: 'Authenticated user is not authorized to send mail', status: 401 },
  'auth-unavailable': { message: 'internal server error' },
  'tls-required': { message: 'access forbidden' },
  'rate-limited': { message: 'too many requests' },
  'too-big': { message: 'content too large' },
  'internal-error': { message: 'internal server error' },
};

const RETRY_SECONDS = 10;

export function faultOfRefusal(refusal: Refusal): RequestFault {
  const { reason, row, details } = refusal;
  const words = API_WORDS[reason];
  const status = words?.status ?? row.http;
  const field = reason === 'sender-not-allowed' ? 'from' : null;
  const retryAfter = status === 429 ? Number(details.seconds ?? 1) : status === 503 ? RETRY_SECONDS : undefined;
  return new RequestFault(status, [{ ...wholeFault(words?.message ?? refusal.text), field }], retryAfter, refusal);
}

export const badRequest = (message = 'Bad Request'): RequestFault => new RequestFault(400, [wholeFault(message)]);

export const unsupported = (message: string): RequestFault => new RequestFault(415, [wholeFault(message)]);
