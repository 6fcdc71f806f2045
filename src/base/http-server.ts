// The HTTP listener and what every answer has in common. It knows no route: manage and accept declare theirs, with
// zod schemas from which fastify validates, serializes and describes them (GET /openapi.json).
// Promise: a client never reads a text of the inside, and no URL or header is logged: keys get into both.
import type { Socket } from 'node:net';
import fastifySwagger from '@fastify/swagger';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type * as z from 'zod';
import { readBodies } from './http-body.js';
import { errorBody, HttpFault, mailErrorBody, statusText, type FieldError } from './http-error.js';
import { BACKLOG, listenFault } from './listen.js';
import type { Log } from './log.js';
import { StoreUnavailable } from './redis.js';

export interface HttpSettings {
  /** Networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; null = none. */
  trustedProxies: string[] | null;
}

/** A body, query or path that its schema refuses; a route may answer it in its own words (`errorHandler`). */
export class SchemaFault extends Error {
  override readonly name = 'SchemaFault';
  readonly statusCode = 400;

  constructor(readonly issues: z.core.$ZodIssue[]) {
    super(issues[0]?.message);
  }

  /** The issues as they are answered: dotted paths, as `restrictions.ips.0`. */
  get errors(): FieldError[] {
    return this.issues.map(({ path, message }) => ({ field: path.map(String).join('.') || null, message }));
  }
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const MAX_BODY_BYTES = 1_048_576;
/** The one path whose errors have a shape of their own, also where no route answers. */
const MAIL_SEND = '/v3/mail/send';

/** A server without routes. Routes are added before `openHttp`. */
export async function makeHttpServer(settings: HttpSettings, log: Log) {
  const server = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    // Time for a whole request: a large mail on a slow line takes minutes.
    requestTimeout: 300_000,
    forceCloseConnections: 'idle',
    trustProxy: settings.trustedProxies ?? false,
    rewriteUrl: (request) => singleSlashes(request.url ?? '/'),
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: true },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (_error, _request, reply: FastifyReply) =>
      void reply
        .code(404)
        .type('application/json; charset=utf-8')
        .send(JSON.stringify(errorBody('not found'))),
  }).withTypeProvider<ZodTypeProvider>();
  server.setValidatorCompiler<z.ZodType>(({ schema }) => (data) => {
    const { success, data: value, error } = schema.safeParse(data);
    return success ? { value } : { error: new SchemaFault(error.issues) };
  });
  server.setSerializerCompiler(serializerCompiler);
  readBodies(server);
  server.setErrorHandler((error: Error, _request, reply) => answerFault(error, reply, log));
  answerOtherMethods(server);
  await server.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Postern',
        version: '1',
        description: 'An SMTP submission server with an API key for every application',
      },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'An API key that holds the scope which is named' },
        },
      },
    },
    transform: jsonSchemaTransform,
  });
  return server;
}

export type HttpServer = Awaited<ReturnType<typeof makeHttpServer>>;

/** `//v3//api_keys` is `/v3/api_keys`, as clients with a slash too many mean it. The query stays as it is. */
function singleSlashes(url: string): string {
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  return path.replace(/(?<!:)\/{2,}/g, '/') + url.slice(path.length);
}

/** The answer to whatever was thrown: what is meant for the client as it is, anything else without its text. */
async function answerFault(error: Error, reply: FastifyReply, log: Log): Promise<unknown> {
  if (error instanceof HttpFault) return reply.code(error.statusCode).headers(error.headers).send(error.body);
  if (error instanceof SchemaFault) return reply.code(400).send({ errors: error.errors });
  const { statusCode = 500 } = error as { statusCode?: number };
  const status = error instanceof StoreUnavailable ? 503 : statusCode < 400 ? 500 : statusCode;
  if (status === 503) log.warn({ fault: error.message }, 'an HTTP request could not be answered now');
  else if (status >= 500) log.error({ err: error }, 'an HTTP request failed');
  return reply.code(status).send(errorBody(statusText(status)));
}

/** What is not HTTP, is too large before its path is known, or does not come to an end. */
function answerBrokenRequest({ code }: Error & { code?: string }, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason]: [number, string] =
    code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? [408, 'Request Timeout']
      : code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'Request Header Fields Too Large']
        : [400, 'Bad Request'];
  const body = JSON.stringify(errorBody(statusText(status)));
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** A path that exists with other methods is 405 (RFC 9110 15.5.6), and OPTIONS tells them. Everything else is 404. */
function answerOtherMethods(server: FastifyInstance): void {
  const paths = new Map<string, { pattern: RegExp; methods: Set<string> }>();
  server.addHook('onRoute', ({ url, method }) => {
    const known = paths.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
    for (const name of [method].flat()) known.methods.add(name);
    paths.set(url, known);
  });
  server.setNotFoundHandler((request: FastifyRequest, reply) => {
    const path = request.url.split('?', 1)[0]!.replace(/(?<=.)\/$/, '');
    const known = [...paths.values()].find(({ pattern }) => pattern.test(path));
    if (!known) return reply.code(404).send(errorBody(statusText(404)));
    const allowed = METHODS.filter((method) => known.methods.has(method));
    void reply.header('allow', allowed.join(', '));
    if (request.method === 'OPTIONS') return reply.code(204).send();
    const message = `${allowed.filter((method) => method !== 'HEAD').join(', ')} method allowed only`;
    return reply.code(405).send(path === MAIL_SEND ? mailErrorBody(message) : errorBody(message));
  });
}

function patternOf(url: string): RegExp {
  const parts = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return new RegExp(`^${parts.join('/')}$`);
}

/** @throws OperatorError that names the setting. @returns the port. */
export async function openHttp(server: HttpServer, host: string, port: number): Promise<number> {
  try {
    await server.listen({ host, port, backlog: BACKLOG });
  } catch (error) {
    throw listenFault(error, host, port, 'http.port');
  }
  return (server.server.address() as { port: number }).port;
}
