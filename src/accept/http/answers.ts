// What an API client is told when something is refused: the statuses and words of SendGrid, made from the one table of
// refusals. What only HTTP can refuse (a Content-Type, an encoding) is a RequestFault of its own.
import * as z from 'zod';
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
  'quota-exhausted': 'Maximum credits exceeded',
  'rate-limited': 'too many requests',
  'too-big': 'content too large',
  'internal-error': 'internal server error',
};

/** SendGrid's words, whole; what they stand for here is told in a second fault. */
const SENDER =
  'The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. ' +
  'Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender Identity requirements';

const RETRY_SECONDS = 10;

export function faultOfRefusal(refusal: Refusal): RequestFault {
  const { row, details } = refusal;
  const seconds = Number(details.seconds ?? { 429: 1, 503: RETRY_SECONDS }[row.http] ?? 0);
  const headers: Record<string, string> = seconds ? { 'retry-after': String(seconds) } : {};
  return new RequestFault(row.http, faultsOf(refusal), headers, refusal);
}

function faultsOf({ reason, text, details }: Refusal): Fault[] {
  if (reason !== 'sender-not-allowed') return [wholeFault(API_WORDS[reason] ?? text)];
  const own = `This key may not send as ${details.address}`;
  return [SENDER, own].map((message) => ({ ...wholeFault(message), field: 'from' }));
}

export const badRequest = (message = 'Bad Request'): RequestFault => new RequestFault(400, [wholeFault(message)]);

export const unsupported = (message: string): RequestFault => new RequestFault(415, [wholeFault(message)]);
