// /v3/messages: what became of messages, as `postern messages --json` tells it. Never the text of a message: whoever
// may read the state of all mail need not read the mail.
import * as z from 'zod';
import type { HttpGate } from '../authenticate/bearer.js';
import { fault, refusalSchemas } from '../base/http-error.js';
import type { HttpServer } from '../base/http-server.js';
import { describeMessage, messageStatuses } from '../report/history.js';
import { findMessages, type Place } from '../report/search.js';
import type { SpoolDesk } from '../spool/spool.js';

export interface MessageParts {
  gate: HttpGate;
  desk: SpoolDesk;
}

const time = z.string().nullable().describe('ISO 8601, or null');

/** Loose: what the history can tell of some messages only is told too. */
const messageSchema = z.looseObject({
  id: z.string().describe('The queue id, as in the reply to DATA and in X-Message-Id'),
  status: z.enum(messageStatuses),
  from: z.string().describe('Envelope sender; empty for reports'),
  subject: z.string(),
  message_id: z.string(),
  size: z.number().describe('Octets'),
  api_key_id: z.string().describe('The key that sent it'),
  client: z.string().describe('The address of the client'),
  accepted_at: time,
  finished_at: time,
  next_attempt_at: time,
  recipients: z.array(
    z.looseObject({
      ...{ address: z.string(), state: z.string(), attempts: z.number(), at: time },
      ...{ reply: z.string().describe('The last words of the next hop'), hop: z.string(), in_doubt: z.number() },
    }),
  ),
  events: z.array(z.looseObject({ at: time, type: z.string() })),
});

const CURSOR = 'expected next_cursor of an earlier answer';
const cursor = z
  .string(CURSOR)
  .regex(/^\d{1,15}\.[A-Za-z0-9_-]{1,40}$/, CURSOR)
  .transform((text): Place => {
    const [acceptedAt, id] = text.split('.') as [string, string];
    return { acceptedAt: Number(acceptedAt), id };
  });

const LIMIT = 'expected a whole number from 1 to 500';
const querystring = z.object({
  limit: z.coerce.number(LIMIT).int(LIMIT).min(1, LIMIT).max(500, LIMIT).default(50),
  status: z.enum(messageStatuses, `expected one of ${messageStatuses.join(', ')}`).optional(),
  cursor: cursor.optional().describe('next_cursor of the page before'),
});

const tags = ['messages'];
const security = [{ key: ['messages.read'] }];

export function messageRoutes(server: HttpServer, { gate, desk }: MessageParts): void {
  const onRequest = gate.guard('messages.read');
  const page = z.object({ result: z.array(messageSchema), next_cursor: z.string().nullable() });
  server.get(
    '/v3/messages',
    {
      onRequest,
      schema: {
        ...{ tags, security, querystring, summary: 'Messages in the queue and of the recent past, newest first' },
        response: { 200: page, ...refusalSchemas(400, 401, 403, 429, 503) },
      },
    },
    async ({ query: { limit, status, cursor: after } }) => {
      const { messages, next } = await findMessages(desk, { limit, status, after });
      return { result: messages.map(shown), next_cursor: next ? `${next.acceptedAt}.${next.id}` : null };
    },
  );
  server.get(
    '/v3/messages/:id',
    {
      onRequest,
      schema: {
        ...{ tags, security, summary: 'One message', params: z.object({ id: z.string() }) },
        response: { 200: messageSchema, ...refusalSchemas(401, 403, 404, 429, 503) },
      },
    },
    async ({ params }) => {
      const message = await desk.find(params.id);
      if (!message) throw fault(404, 'not found');
      return { ...shown(message), has_body: message.hasBody };
    },
  );
}

/** The schema above says again what describeMessage makes; the serializer checks it. */
const shown = (message: Parameters<typeof describeMessage>[0]) =>
  describeMessage(message) as z.infer<typeof messageSchema>;
