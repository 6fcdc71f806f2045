// POST /v3/mail/send. The key is checked before the body is read; the body is read within the budget; then every fault
// of it is told at once, or its messages are sent.
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { HttpGate } from '../../authenticate/bearer.js';
import type { HttpServer } from '../../base/http-server.js';
import { badRequest, mailRefusals, unsupported } from './answers.js';
import { BodyBudget, bounded } from './body.js';
import { checkedRequest } from './checked-request.js';
import type { HttpDoor } from './door.js';
import { JsonReader, NotUtf8, type JsonBody } from './json-body.js';
import { mailRequest } from './mail-request.js';
import { send, type Sender } from './send.js';

const nothing = (description: string) => ({ description, content: { 'text/plain': { schema: z.literal('') } } });

export function mailSendRoute(server: HttpServer, gate: HttpGate, door: HttpDoor): void {
  server.post(
    '/v3/mail/send',
    {
      onRequest: gate.guard('mail.send', 'mail'),
      bodyLimit: door.settings.maxMessageBytes,
      schema: {
        tags: ['mail'],
        summary: 'Sends mail: one message for each personalization, all of them or none',
        security: [{ key: ['mail.send'] }],
        headers: z.object({ 'idempotency-key': z.string().optional() }),
        body: mailRequest,
        response: {
          200: nothing('the request is right; in the sandbox nothing is sent'),
          202: nothing('accepted; X-Message-Id is the queue id of the first message'),
          ...mailRefusals(400, 401, 403, 413, 415, 422, 429, 500, 503),
        },
      },
    },
    async (request, reply) => {
      const budget = new BodyBudget(door.budget, door.settings.maxMessageBytes);
      try {
        const { value, longTexts } = await readJson(request, budget);
        const body = await checkedRequest(value, door.clock.now(), longTexts);
        const sender = { ...senderOf(gate, request), fingerprint: budget.fingerprint() };
        if (body.mail_settings?.sandbox_mode?.enable) return empty(reply, 200);
        const { id, isRepeat } = await send(door, sender, body);
        if (isRepeat) void reply.header('Idempotency-Replayed', 'true');
        return empty(reply.header('X-Message-Id', id), 202);
      } finally {
        budget.free();
      }
    },
  );
}

function empty(reply: FastifyReply, status: number): FastifyReply {
  return reply.code(status).type('text/plain; charset=utf-8').send('');
}

/** @throws RequestFault */
function senderOf(gate: HttpGate, request: FastifyRequest): Omit<Sender, 'fingerprint'> {
  const idempotencyKey = request.headers['idempotency-key'];
  const principal = gate.principal(request);
  const sender = { principal, address: request.ip, secure: request.protocol === 'https' };
  if (idempotencyKey === undefined) return sender;
  if (typeof idempotencyKey !== 'string' || !/^[\x20-\x7E]{1,255}$/.test(idempotencyKey)) {
    throw badRequest('Idempotency-Key should be 1 to 255 printable ASCII characters');
  }
  return { ...sender, idempotencyKey };
}

/** @throws RequestFault */
async function readJson(request: FastifyRequest, budget: BodyBudget): Promise<JsonBody> {
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/(json|[\w.-]+\+json) *(;|$)/i.test(type)) {
    throw unsupported('Content-Type should be application/json');
  }
  budget.expect(request.headers['content-length']);
  const reader = new JsonReader();
  for await (const octets of bounded(request.body, budget)) reader.append(octets);
  if (type === undefined) throw unsupported('Content-Type should be application/json');
  try {
    return reader.end();
  } catch (error) {
    throw error instanceof NotUtf8 ? unsupported('Invalid UTF8 in request') : badRequest();
  }
}
