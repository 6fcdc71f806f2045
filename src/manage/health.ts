// For load balancers and Prometheus: is the process alive, may it be sent mail, and its figures.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Authenticator } from '../authenticate/authenticator.js';
import { isLoopback } from '../base/address.js';
import { errorBody } from './http-server.js';

export interface HealthParts {
  /** Rejects when mail could not be accepted now. */
  checkReady: () => Promise<void>;
  /** The figures of all processes in the Prometheus text format. */
  metrics: () => Promise<string>;
  authenticator: Authenticator;
}

export function healthRoutes(server: FastifyInstance, parts: HealthParts): void {
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    try {
      await parts.checkReady();
    } catch {
      return reply.code(503).send({ status: 'unavailable' });
    }
    return { status: 'ready' };
  });
  server.get('/metrics', async (request, reply) => {
    if (!(await mayReadMetrics(request, reply, parts.authenticator))) return reply;
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await parts.metrics());
  });
}

/** From this machine anybody may; from elsewhere a key with stats.read. Answers the refusal itself. */
async function mayReadMetrics(
  request: FastifyRequest,
  reply: FastifyReply,
  authenticator: Authenticator,
): Promise<boolean> {
  if (isLoopback(request.ip)) return true;
  const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const login = await authenticator.authorize(key, request.ip, 'stats.read');
  if ('principal' in login) return true;
  const status = login.refusal.row.http;
  const text = status === 403 ? 'access forbidden' : status === 503 ? 'service unavailable' : 'authorization required';
  await reply.code(status).send(errorBody(text));
  return false;
}
