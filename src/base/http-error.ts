// What an HTTP client reads when something is refused: the two body shapes of the API, and a throwable answer.
// Promise: no text of the inside gets out; a status without a text of its own gets a fixed one.
import * as z from 'zod';

export interface FieldError {
  field: string | null;
  message: string;
}

/** The body of every error but those of mail/send: members in this order. */
export interface ErrorBody {
  errors: FieldError[];
}

/** The body of an error of mail/send: other members, in another order. */
export interface MailErrorBody {
  errors: { message: string; field: string | null; help: string | null }[];
}

export const errorBodySchema: z.ZodType<ErrorBody> = z.object({
  errors: z.array(z.object({ field: z.string().nullable(), message: z.string() })),
});

/** One message, perhaps about one field. */
export function errorBody(message: string, field: string | null = null): ErrorBody {
  return { errors: [{ field, message }] };
}

/** The same, as mail/send says it. */
export function mailErrorBody(message: string, field: string | null = null, help: string | null = null): MailErrorBody {
  return { errors: [{ message, field, help }] };
}

/** Throw it from a hook or a handler: it is the answer. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';

  constructor(
    readonly statusCode: number,
    readonly body: ErrorBody | MailErrorBody,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(body.errors[0]?.message);
  }
}

/** An answer of one message in the usual shape. */
export function fault(status: number, message: string, field: string | null = null): HttpFault {
  return new HttpFault(status, errorBody(message, field));
}

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'the request is not right: each error names its field',
  401: 'no key, or one that is unknown, expired or revoked',
  403: 'the key may not do this',
  404: 'there is no such thing',
  413: 'the body is too large',
  415: 'the body is of a type or encoding that is not read here',
  429: 'too many requests; X-RateLimit-Reset tells when there is room again',
  503: 'not now: the store cannot be reached or is full',
};

/** The answers of a route that are refusals in the usual shape, for its schema. */
export function refusalSchemas<const S extends number>(...statuses: S[]): Record<S, typeof errorBodySchema> {
  const schemas = statuses.map((status) => [status, errorBodySchema.describe(REFUSALS[status] ?? 'refused')]);
  return Object.fromEntries(schemas) as Record<S, typeof errorBodySchema>;
}

const TEXTS: Readonly<Record<number, string>> = {
  404: 'not found',
  408: 'the request took too long',
  413: 'content too large',
  414: 'the URL is too long',
  415: 'Content-Type should be application/json',
  431: 'the header is too large',
  503: 'service unavailable',
};

/** The public text of a status that nobody has said anything about. */
export function statusText(status: number): string {
  return TEXTS[status] ?? (status < 500 ? 'Bad Request' : 'internal server error');
}
