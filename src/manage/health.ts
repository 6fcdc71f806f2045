// For load balancers and Prometheus: is the process alive, may it be sent mail, and its figures.
import * as z from 'zod';
import type { HttpGate } from '../authenticate/bearer.js';
import { isLoopback } from '../base/address.js';
import { refusalSchemas } from '../base/http-error.js';
import type { HttpServer } from '../base/http-server.js';

export interface HealthParts {
  /** Rejects when mail could not be accepted now. */
  checkReady: () => Promise<void>;
  /** The figures of all processes in the Prometheus text format. */
  metrics: () => Promise<string>;
  gate: HttpGate;
}

const statusSchema = z.object({ status: z.string() });
const tags = ['operations'];

export function healthRoutes(server: HttpServer, parts: HealthParts): void {
  server.get(
    '/healthz',
    { schema: { tags, summary: 'Whether this process is alive', response: { 200: statusSchema } } },
    () => ({ status: 'ok' }),
  );
  server.get(
    '/readyz',
    {
      schema: {
        tags,
        summary: 'Whether mail can be accepted now',
        response: { 200: statusSchema, 503: statusSchema.describe('not now') },
      },
    },
    async (_request, reply) => {
      try {
        await parts.checkReady();
      } catch {
        return reply.code(503).send({ status: 'unavailable' });
      }
      return { status: 'ready' };
    },
  );
  metricsRoute(server, parts);
}

/** From this machine anybody may read the figures; from elsewhere a key with stats.read. */
function metricsRoute(server: HttpServer, { gate, metrics }: HealthParts): void {
  const guard = gate.guard('stats.read');
  server.get(
    '/metrics',
    {
      schema: {
        tags,
        summary: 'The figures of all processes for Prometheus; free from this machine, else with stats.read',
        security: [{}, { key: ['stats.read'] }],
        response: {
          200: { description: 'Prometheus text format', content: { 'text/plain': { schema: z.string() } } },
          ...refusalSchemas(401, 403, 429, 503),
        },
      },
      onRequest: async (request, reply) => (isLoopback(request.ip) ? undefined : guard(request, reply)),
    },
    async (_request, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics()),
  );
}
