// What the calls of /v3/api_keys take and answer, as schemas: they validate, they write the answers, and
// GET /openapi.json is made from them.
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { messageOf } from '../base/fault.js';
import { errorBody, refusalSchemas } from '../base/http-error.js';
import { SchemaFault } from '../base/http-server.js';
import { checkName } from '../keys/mint.js';
import { restrictionsInput, restrictionsOutput } from '../keys/restriction-json.js';

const MISSING = 'missing required argument';
const EXPECTED = "expected JSON request body with 'name' property";

const name = z
  .string({ error: ({ input }) => (input === undefined || input === null ? MISSING : 'expected a string') })
  .min(1, { error: MISSING, abort: true })
  .superRefine((text, context) => {
    try {
      checkName(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
    }
  })
  .describe('1 to 100 printable characters; need not be unique');

const SCOPES = 'expected a list of scopes';
const scopeList = z
  .array(z.string('expected the name of a scope').max(200, 'expected the name of a scope'), SCOPES)
  .min(1, 'at least one scope is needed; leave the member out to have those of the key that asks, or the old ones')
  .max(500, 'too many scopes')
  .optional();

const restrictions = restrictionsInput.optional().describe('What the key is restricted to; not known to SendGrid');

const shown = {
  api_key_id: z.string().describe('The 22 characters between the dots of the key'),
  name: z.string(),
  scopes: z.array(z.string()),
  restrictions: restrictionsOutput.optional().describe('Absent when the key has none'),
};
const shownKey = z.object(shown);
export type ShownKey = z.infer<typeof shownKey>;
const namedKey = z.object({ api_key_id: shown.api_key_id, name: z.string() });

const params = z.object({ api_key_id: shown.api_key_id });
const COMMON = [401, 403, 429, 503] as const;
const tags = ['api_keys'];
const security = (scope: string) => [{ key: [scope] }];

type Failure = (error: Error, request: FastifyRequest, reply: FastifyReply) => unknown;

/** For bodies that are no object at all, or no JSON: what is not about a member is answered with `answer`. */
function speaking(answer: (error: SchemaFault | undefined) => ReturnType<typeof errorBody> | undefined): Failure {
  return (error, _request, reply) => {
    const body = error instanceof SchemaFault ? answer(error) : isUnreadable(error) ? answer(undefined) : undefined;
    if (!body) throw error;
    return reply.code(400).send(body);
  };
}

/** Not JSON, or said not to be. */
function isUnreadable(error: Error & { code?: string; statusCode?: number }): boolean {
  return (
    error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' || (error.statusCode === 400 && error.message === 'Bad Request')
  );
}

const isAbout = ({ issues }: SchemaFault, wanted: string): boolean =>
  issues.some(({ path, message }) => path.length === 0 || (path[0] === wanted && message === MISSING));

const updating = speaking((error) => (!error || isAbout(error, 'name') ? errorBody(EXPECTED) : undefined));

export const create = {
  schema: {
    ...{ tags, summary: 'Make a key; the answer is the only one that shows it', security: security('api_keys.create') },
    body: z.object({
      name,
      scopes: scopeList.describe('Left out: all that the key that asks may hand on'),
      restrictions,
    }),
    response: { 201: z.object({ api_key: z.string(), ...shown }), ...refusalSchemas(400, 413, 415, ...COMMON) },
  },
  errorHandler: speaking((error) => {
    if (!error) return errorBody(EXPECTED);
    return error.issues.some(({ path }) => path.length === 0) ? errorBody(MISSING, 'name') : undefined;
  }),
};

const LIMIT = 'expected a whole number from 1 to 500';
export const list = {
  schema: {
    ...{ tags, summary: 'The keys that are not revoked, newest first', security: security('api_keys.read') },
    querystring: z.object({ limit: z.coerce.number(LIMIT).int(LIMIT).min(1, LIMIT).max(500, LIMIT).default(500) }),
    response: {
      200: z.object({ result: z.array(z.object({ name: z.string(), api_key_id: shown.api_key_id })) }),
      ...refusalSchemas(400, ...COMMON),
    },
  },
};

export const read = {
  schema: {
    ...{ tags, summary: 'One key', security: security('api_keys.read'), params },
    response: { 200: shownKey, ...refusalSchemas(404, ...COMMON) },
  },
};

export const rename = {
  schema: {
    ...{ tags, summary: 'Rename a key', security: security('api_keys.update'), params },
    body: z.object({ name }),
    response: { 200: namedKey, ...refusalSchemas(400, 404, 413, 415, ...COMMON) },
  },
  errorHandler: updating,
};

export const replace = {
  schema: {
    ...{
      tags,
      summary: 'Change name, scopes and restrictions of a key',
      security: security('api_keys.update'),
      params,
    },
    body: z.object({
      name,
      scopes: scopeList.describe('The new set, all of it; left out: unchanged'),
      restrictions: restrictions.describe('The new set, all of it; left out: unchanged'),
    }),
    response: { 200: shownKey, ...refusalSchemas(400, 404, 413, 415, ...COMMON) },
  },
  errorHandler: updating,
};

export const revoke = {
  schema: {
    ...{
      tags,
      summary: 'Revoke a key, on every process within a second',
      security: security('api_keys.delete'),
      params,
    },
    response: { 204: z.undefined().describe('revoked'), ...refusalSchemas(400, 404, 413, 415, ...COMMON) },
  },
};

export const scopes = {
  schema: {
    ...{ tags: ['scopes'], summary: 'The scopes of the key that asks', security: [{ key: [] }] },
    response: { 200: z.object({ scopes: z.array(z.string()) }), ...refusalSchemas(...COMMON) },
  },
};
