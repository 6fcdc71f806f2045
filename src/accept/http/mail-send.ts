// POST /v3/mail/send. The key is checked before the body is read; the body is read within the budget; then every fault
// of it is told at once, or its messages are sent.
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { authenticateSender } from './authenticate.js';
import { badRequest, RequestFault, unsupported } from './answers.js';
import { BodyBudget, readWhole } from './body.js';
import { checkedRequest } from './checked-request.js';
import type { HttpDoor } from './door.js';
import { wholeFault } from './fault.js';
import { send, type Sender } from './send.js';

const PATH = '/v3/mail/send';

export function mailSendRoutes(server: FastifyInstance, door: HttpDoor): void {
  server.post(PATH, async (request, reply) => {
    const principal = await authenticateSender(door, request);
    const budget = new BodyBudget(door.budget, door.settings.maxMessageBytes);
    try {
      const body = await checkedRequest(await readJson(request, budget), door.clock.now());
      if (body.mail_settings?.sandbox_mode?.enable) return empty(reply, 200);
      const { id, isRepeat } = await send(door, senderOf(request, principal), body);
      if (isRepeat) reply.header('Idempotency-Replayed', 'true');
      return empty(reply.header('X-Message-Id', id), 202);
    } finally {
      budget.free();
    }
  });
  server.route({
    method: ['GET', 'PUT', 'PATCH', 'DELETE'],
    url: PATH,
    handler: () => {
      throw new RequestFault(405, [wholeFault('POST method allowed only')]);
    },
  });
}

function empty(reply: FastifyReply, status: number): FastifyReply {
  return reply.code(status).type('text/plain; charset=utf-8').send('');
}

function senderOf(request: FastifyRequest, principal: Sender['principal']): Sender {
  const idempotencyKey = request.headers['idempotency-key'];
  const sender: Sender = { principal, address: request.ip, secure: request.protocol === 'https' };
  if (idempotencyKey === undefined) return sender;
  if (typeof idempotencyKey !== 'string' || !/^[\x20-\x7E]{1,255}$/.test(idempotencyKey)) {
    throw badRequest('Idempotency-Key should be 1 to 255 printable ASCII characters');
  }
  return { ...sender, idempotencyKey };
}

/** @throws RequestFault */
async function readJson(request: FastifyRequest, budget: BodyBudget): Promise<unknown> {
  if (!/^application\/(json|[\w.-]+\+json) *(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw unsupported('Content-Type should be application/json');
  }
  const octets = await readWhole(request.raw, request.headers, budget);
  if (!isUtf8(octets)) throw unsupported('Invalid UTF8 in request');
  try {
    return JSON.parse(octets.toString().replace(/^\uFEFF/, '')) as unknown;
  } catch {
    throw badRequest();
  }
}
