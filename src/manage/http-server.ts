// The HTTP listener and what every answer has in common. Routes are plugins of their own files.
import { fastify, type FastifyInstance } from 'fastify';
import type { Log } from '../base/log.js';
import { listenFault } from '../base/listen-fault.js';

/** The body of an error (SendGrid's shape): one message, perhaps about one field. */
export function errorBody(
  message: string,
  field: string | null = null,
): { errors: { field: string | null; message: string }[] } {
  return { errors: [{ field, message }] };
}

/** An HTTP server without routes. Faults are logged and answered without their text. */
export function makeHttpServer(log: Log): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: 1_048_576,
    requestTimeout: 60_000,
    forceCloseConnections: 'idle',
    rewriteUrl: (request) => (request.url ?? '/').replace(/^\/{2,}/, '/').replace(/(?<!:)\/{2,}/g, '/'),
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send(errorBody('not found')));
  server.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return reply.code(status).send(errorBody(error.message));
    log.error({ err: error }, 'an HTTP request failed');
    return reply.code(500).send(errorBody('internal server error'));
  });
  return server;
}

/** @throws OperatorError that names the setting. @returns the port. */
export async function openHttp(server: FastifyInstance, host: string, port: number): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    throw listenFault(error, host, port, 'http.port');
  }
  return (server.server.address() as { port: number }).port;
}
