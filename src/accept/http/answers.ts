// What an API client is told when something is refused: the statuses and words of SendGrid, made from the one table of
// refusals. What only HTTP can refuse (a Content-Type, an encoding) is a RequestFault of its own.
import { z } from 'zod';
import type { Reason, Refusal } from '../../message/refusal.js';
import { wholeFault, type Fault } from './fault.js';

/** Thrown anywhere on the way of a request; it is the answer. */
export class RequestFault extends Error {
  override readonly name = 'RequestFault';

  constructor(
    readonly status: number,
    readonly faults: Fault[],
    readonly headers: Readonly<Record<string, string>> = {},
    /** For the log and the figures, where it comes from the table of refusals. */
    readonly refusal?: Refusal,
  ) {
    super(faults[0]?.message ?? '');
  }
}

const faultsSchema = z.object({
  errors: z.array(z.object({ message: z.string(), field: z.string().nullable(), help: z.string().nullish() })),
});

/** The answers of these calls that are refusals, for their schema. */
export function mailRefusals<const S extends number>(...statuses: S[]): Record<S, typeof faultsSchema> {
  const schemas = statuses.map((status) => [status, faultsSchema.describe(`refused with ${status}`)]);
  return Object.fromEntries(schemas) as Record<S, typeof faultsSchema>;
}

const GRANT = 'The provided authorization grant is invalid, expired, or revoked';

/** Where SendGrid's API says it in other words than its SMTP service. */
const API_WORDS: Partial<Record<Reason, string>> = {
  'auth-required': 'Permission denied, wrong credentials',
  'bad-credentials': GRANT,
  'bad-key': GRANT,
  'key-revoked': GRANT,
  'no-send-scope': 'Authenticated user is not authorized to send mail',
  'rate-limited': 'too many requests',
  'too-big': 'content too large',
  'internal-error': 'internal server error',
};

const RETRY_SECONDS = 10;

export function faultOfRefusal(refusal: Refusal): RequestFault {
  const { reason, row, details } = refusal;
  const field = reason === 'sender-not-allowed' ? 'from' : null;
  const seconds = row.http === 429 ? Number(details.seconds ?? 1) : row.http === 503 ? RETRY_SECONDS : 0;
  const headers: Record<string, string> = seconds ? { 'retry-after': String(seconds) } : {};
  return new RequestFault(row.http, [{ ...wholeFault(API_WORDS[reason] ?? refusal.text), field }], headers, refusal);
}

export const badRequest = (message = 'Bad Request'): RequestFault => new RequestFault(400, [wholeFault(message)]);

export const unsupported = (message: string): RequestFault => new RequestFault(415, [wholeFault(message)]);
