// POST /api/mail.send.json and .xml, the call of SendGrid's old API. It differs in its shape only: a form becomes the
// request of the new call. Its credentials may stand in the form, `api_user` and `api_key`; never in the URL.
import type { FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { HttpGate } from '../../authenticate/bearer.js';
import type { HttpServer } from '../../base/http-server.js';
import { badRequest, type RequestFault } from './answers.js';
import { BodyBudget } from './body.js';
import type { HttpDoor } from './door.js';
import { refusedFault } from './refused.js';
import { send } from './send.js';
import { readWebForm, type WebForm } from './web-form.js';
import { webRequest } from './web-mail.js';

type Format = 'json' | 'xml';

const refused = z.object({ message: z.literal('error'), errors: z.array(z.string()) });
const jsonAnswers = {
  200: z.object({ message: z.literal('success') }).describe('accepted'),
  ...{ 400: refused.describe('refused'), 413: refused.describe('too large'), 429: refused.describe('too many') },
  ...{ 500: refused.describe('a fault of the server'), 503: refused.describe('not now') },
};
const xmlAnswer = (description: string) => ({ description, content: { 'application/xml': { schema: z.string() } } });
const xmlAnswers = {
  ...{ 200: xmlAnswer('accepted'), 400: xmlAnswer('refused'), 413: xmlAnswer('too large'), 429: xmlAnswer('too many') },
  ...{ 500: xmlAnswer('a fault of the server'), 503: xmlAnswer('not now') },
};

export function webSendRoutes(server: HttpServer, gate: HttpGate, door: HttpDoor): void {
  for (const format of ['json', 'xml'] as const) {
    server.post(
      `/api/mail.send.${format}`,
      {
        bodyLimit: door.settings.maxMessageBytes,
        schema: {
          tags: ['mail'],
          summary: "Sends mail as SendGrid's old API did: a form, urlencoded or multipart",
          security: [{ key: ['mail.send'] }, {}],
          consumes: ['application/x-www-form-urlencoded', 'multipart/form-data'],
          body: z.looseObject({ to: z.string(), from: z.string(), subject: z.string() }),
          response: format === 'json' ? jsonAnswers : xmlAnswers,
        },
        errorHandler: (error, request, reply) => void answer(reply, format, refusedFault(door, error, request)),
      },
      async (request, reply) => {
        const { id } = await sendForm(gate, door, request, reply);
        void reply.header('X-Message-Id', id);
        return answer(reply, format);
      },
    );
  }
}

async function sendForm(gate: HttpGate, door: HttpDoor, request: FastifyRequest, reply: FastifyReply) {
  const { authorization, 'content-type': type } = request.headers;
  const { maxMessageBytes } = door.settings;
  if (Object.keys(request.query as object).some((name) => name === 'api_key' || name === 'api_user')) {
    throw badRequest('Credentials in the URL are not read: send api_user and api_key in the body');
  }
  if (authorization !== undefined) await gate.guard('mail.send', 'mail')(request, reply);
  const budget = new BodyBudget(authorization === undefined ? door.strangersBudget : door.budget, maxMessageBytes);
  try {
    budget.expect(request.headers['content-length']);
    // Everything may stand in the URL, but for the key.
    const form: WebForm = request.body
      ? await readWebForm(request.body, type, maxMessageBytes, budget)
      : { fields: new Map(), files: [] };
    addQuery(form, request.query as Record<string, unknown>);
    const key = form.fields.get('api_key')?.[0];
    if (authorization === undefined) await gate.admit(key, 'mail.send', request, reply, 'mail');
    const body = await webRequest(form, door.clock.now());
    const client = { address: request.ip, secure: request.protocol === 'https' };
    const sender = { principal: gate.principal(request), ...client, fingerprint: budget.fingerprint() };
    return await send(door, sender, body);
  } finally {
    budget.free();
  }
}

/** What stands in the URL counts where the body does not have it. */
function addQuery({ fields }: WebForm, query: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(query)) {
    const key = name.replace(/\[\d*\]$/, '');
    if (!fields.has(key)) fields.set(key, [value].flat().map(String));
  }
}

/** Whatever the client did wrong is a 400 here, a bad key too. */
function answer(reply: FastifyReply, format: Format, fault?: RequestFault): FastifyReply {
  const status = fault?.status ?? 200;
  const own = status < 500 && status !== 413 && status !== 429 && status !== 200 ? 400 : status;
  void reply.code(own).headers(fault?.headers ?? {});
  const errors = fault?.faults.map(({ message }) => message);
  if (format === 'json') return reply.send(errors ? { message: 'error', errors } : { message: 'success' });
  return reply.type('application/xml; charset=utf-8').send(xml(errors));
}

function xml(errors: string[] | undefined): string {
  const list = errors?.map((error) => `<error>${escaped(error)}</error>`).join('');
  const inside = list === undefined ? '<message>success</message>' : `<message>error</message><errors>${list}</errors>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<result>${inside}</result>\n`;
}

/** XML 1.0 has no place for most control characters, escaped or not. */
function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text
    .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD')
    .replace(/[&<>"]/g, (char) => entities[char]!);
}
