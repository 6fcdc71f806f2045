// Batches of scheduled mail: /v3/mail/batch makes their ids, /v3/user/scheduled_sends holds back or drops what was sent
// with one of them and is not under way yet. Both can be taken back until the time has come.
import * as z from 'zod';
import type { HttpGate } from '../../authenticate/bearer.js';
import { fault, refusalSchemas } from '../../base/http-error.js';
import type { HttpServer } from '../../base/http-server.js';
import type { Clock } from '../../base/clock.js';
import type { BatchStatus, SpoolBatches } from '../../spool/spool.js';

interface BatchParts {
  batches: SpoolBatches;
  clock: Clock;
}

/** SendGrid's limit. */
const MAX_HELD = 100;

const batchId = z.string('missing required argument');
const batch = z.object({ batch_id: batchId });
const status = z.enum(['pause', 'cancel'], { error: 'status should be pause or cancel' });
const held = z.object({ batch_id: batchId, status });
const refusals = refusalSchemas(400, 401, 403, 429, 503);
const tags = ['scheduled sends'];

export function scheduledSendRoutes(server: HttpServer, gate: HttpGate, parts: BatchParts): void {
  batchRoutes(server, gate, parts);
  readRoutes(server, gate, parts);
  createRoute(server, gate, parts);
  changeRoutes(server, gate, parts);
}

function batchRoutes(server: HttpServer, gate: HttpGate, { batches }: BatchParts): void {
  server.post(
    '/v3/mail/batch',
    {
      onRequest: gate.guard('mail.batch.create'),
      schema: {
        tags,
        security: [{ key: ['mail.batch.create'] }],
        summary: 'A new batch id, good for ten days',
        response: { 201: batch, ...refusals },
      },
    },
    async (_request, reply) => reply.code(201).send({ batch_id: await batches.create() }),
  );
  server.get(
    '/v3/mail/batch/:batch_id',
    {
      onRequest: gate.guard('mail.batch.read'),
      schema: {
        tags,
        security: [{ key: ['mail.batch.read'] }],
        summary: 'Whether a batch id is good',
        params: batch,
        response: { 200: batch, ...refusals },
      },
    },
    async ({ params }) => {
      await known(batches, params.batch_id);
      return params;
    },
  );
}

function readRoutes(server: HttpServer, gate: HttpGate, { batches }: BatchParts): void {
  const onRequest = gate.guard('user.scheduled_sends.read');
  const security = [{ key: ['user.scheduled_sends.read'] }];
  const response = { 200: z.array(held), ...refusals };
  server.get(
    '/v3/user/scheduled_sends',
    { onRequest, schema: { tags, security, summary: 'Batches that are paused or cancelled', response } },
    async () => (await batches.list()).map((each) => ({ batch_id: each.id, status: each.status })),
  );
  server.get(
    '/v3/user/scheduled_sends/:batch_id',
    {
      onRequest,
      schema: { tags, security, summary: 'The same for one batch: a list of one, or of none', params: batch, response },
    },
    async ({ params }) => {
      const found = await batches.statusOf(params.batch_id);
      return found ? [{ batch_id: params.batch_id, status: found }] : [];
    },
  );
}

function createRoute(server: HttpServer, gate: HttpGate, { batches, clock }: BatchParts): void {
  server.post(
    '/v3/user/scheduled_sends',
    {
      onRequest: gate.guard('user.scheduled_sends.create'),
      schema: {
        tags,
        security: [{ key: ['user.scheduled_sends.create'] }],
        summary: 'Pauses or cancels a batch',
        body: held,
        response: { 201: held, ...refusals },
      },
    },
    async ({ body }, reply) => {
      await known(batches, body.batch_id);
      await mayAdd(batches, body.batch_id);
      await batches.setStatus(body.batch_id, body.status, clock.now());
      return reply.code(201).send(body);
    },
  );
}

function changeRoutes(server: HttpServer, gate: HttpGate, { batches, clock }: BatchParts): void {
  const change = async (id: string, to: BatchStatus | undefined): Promise<void> => {
    if (!(await batches.statusOf(id))) throw fault(404, 'the batch is neither paused nor cancelled', 'batch_id');
    await batches.setStatus(id, to, clock.now());
  };
  const response = { 204: z.null().describe('done'), ...refusals, ...refusalSchemas(404) };
  server.patch(
    '/v3/user/scheduled_sends/:batch_id',
    {
      onRequest: gate.guard('user.scheduled_sends.update'),
      schema: {
        tags,
        security: [{ key: ['user.scheduled_sends.update'] }],
        summary: 'Changes one into the other',
        params: batch,
        body: z.object({ status }),
        response,
      },
    },
    async ({ params, body }, reply) => {
      await change(params.batch_id, body.status);
      return reply.code(204).send(null);
    },
  );
  server.delete(
    '/v3/user/scheduled_sends/:batch_id',
    {
      onRequest: gate.guard('user.scheduled_sends.delete'),
      schema: {
        tags,
        security: [{ key: ['user.scheduled_sends.delete'] }],
        summary: 'Lets a batch go again; what is overdue is sent at once',
        params: batch,
        response,
      },
    },
    async ({ params }, reply) => {
      await change(params.batch_id, undefined);
      return reply.code(204).send(null);
    },
  );
}

/** @throws HttpFault */
async function known(batches: SpoolBatches, id: string): Promise<void> {
  if (!(await batches.exists(id))) throw fault(400, 'invalid batch id', 'batch_id');
}

/** @throws HttpFault for a batch that has a status already, and for one too many. */
async function mayAdd(batches: SpoolBatches, id: string): Promise<void> {
  const all = await batches.list();
  if (all.some((each) => each.id === id)) {
    throw fault(400, 'a status exists for this batch id: change it with PATCH or remove it with DELETE', 'batch_id');
  }
  if (all.length < MAX_HELD) return;
  throw fault(400, `at most ${MAX_HELD} batches can be paused or cancelled at one time`, 'batch_id');
}
