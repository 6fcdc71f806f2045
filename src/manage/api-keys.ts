// /v3/api_keys: keys that make, change and revoke keys. Shapes, statuses and texts are SendGrid's; `restrictions` is
// ours and may be left out. Promise: no key makes or widens another beyond itself, and no secret is shown but the
// new one, once.
import type { FastifyRequest } from 'fastify';
import type { HttpGate } from '../authenticate/bearer.js';
import type { Principal } from '../authenticate/principal.js';
import type { Clock } from '../base/clock.js';
import { fault, HttpFault } from '../base/http-error.js';
import type { HttpServer } from '../base/http-server.js';
import type { Random } from '../base/ids.js';
import { isWithin, restrictionsBeyond, scopesBeyond, scopesToHandOn, withInherited } from '../keys/delegation.js';
import type { Powers, Problem } from '../keys/delegation.js';
import type { KeyChange, KeyEditor } from '../keys/editor.js';
import { mint, TooManyKeys, type Minted } from '../keys/mint.js';
import type { Restrictions } from '../keys/policy.js';
import type { KeyRecord } from '../keys/record.js';
import { expandScopes, FULL_ACCESS, scopeProblems } from '../keys/scopes.js';
import type { KeyStore } from '../keys/store.js';
import * as shapes from './api-key-shapes.js';

export interface ApiKeyParts {
  gate: HttpGate;
  keys: KeyEditor;
  settings: { prefix: string; pepper: string; maxKeys: number };
  clock: Clock;
  random: Random;
}

/** Changes in the name of the key that asks. */
const editorOf = ({ gate, keys }: Pick<ApiKeyParts, 'gate' | 'keys'>, request: FastifyRequest): KeyEditor =>
  keys.as(`key:${gate.principal(request).keyId}`);

export function apiKeyRoutes(server: HttpServer, parts: ApiKeyParts): void {
  createRoute(server, parts);
  listRoute(server, parts);
  readRoute(server, parts);
  renameRoute(server, parts);
  replaceRoute(server, parts);
  revokeRoute(server, parts);
  scopesRoute(server, parts);
}

function createRoute(server: HttpServer, parts: ApiKeyParts): void {
  const onRequest = parts.gate.guard('api_keys.create');
  const { schema, errorHandler } = shapes.create;
  server.post('/v3/api_keys', { onRequest, schema, errorHandler }, async (request, reply) => {
    const { name, scopes, restrictions } = request.body;
    const giver = await presentPowers(parts, parts.gate.principal(request));
    const wanted = {
      scopes: scopes ?? scopesToHandOn(giver),
      restrictions: withInherited(restrictions ?? {}, giver),
    };
    refuseProblems([
      ...scopeFaults(scopes, wanted, giver),
      ...restrictionsBeyond(wanted.restrictions, giver.restrictions),
      ...expiryFaults(restrictions, parts.clock),
    ]);
    const { text, record } = await mintWithin(parts, editorOf(parts, request), { name, ...wanted });
    return reply.code(201).send({ api_key: text, ...shown(record) });
  });
}

async function mintWithin(parts: ApiKeyParts, keys: KeyEditor, request: Powers & { name: string }): Promise<Minted> {
  const { settings, clock, random } = parts;
  try {
    return await mint(keys, settings, { clock, random }, { ...request, scopes: [...request.scopes] });
  } catch (error) {
    if (!(error instanceof TooManyKeys)) throw error;
    throw fault(403, `Cannot create more than ${settings.maxKeys} API Keys`);
  }
}

function listRoute(server: HttpServer, { gate, keys }: ApiKeyParts): void {
  const onRequest = gate.guard('api_keys.read');
  server.get('/v3/api_keys', { onRequest, ...shapes.list }, async (request) => {
    const live = (await keys.list()).filter(({ revokedAt }) => revokedAt === 0);
    const { limit } = request.query;
    return { result: live.slice(0, limit).map(({ id, name }) => ({ name, api_key_id: id })) };
  });
}

function readRoute(server: HttpServer, { gate, keys }: ApiKeyParts): void {
  const onRequest = gate.guard('api_keys.read');
  server.get('/v3/api_keys/:api_key_id', { onRequest, ...shapes.read }, async (request) =>
    shown(await find(keys, request.params.api_key_id, 'unable to find API Key')),
  );
}

function renameRoute(server: HttpServer, parts: ApiKeyParts): void {
  const onRequest = parts.gate.guard('api_keys.update');
  const { schema, errorHandler } = shapes.rename;
  server.patch('/v3/api_keys/:api_key_id', { onRequest, schema, errorHandler }, async (request) => {
    const { name } = request.body;
    const { id } = await change(editorOf(parts, request), request.params.api_key_id, NOTHING_TO_UPDATE, () => ({
      name,
    }));
    return { api_key_id: id, name };
  });
}

const NOTHING_TO_UPDATE = 'unable to find API Key to update';

function replaceRoute(server: HttpServer, parts: ApiKeyParts): void {
  const { gate } = parts;
  const onRequest = gate.guard('api_keys.update');
  const { schema, errorHandler } = shapes.replace;
  server.put('/v3/api_keys/:api_key_id', { onRequest, schema, errorHandler }, async (request) => {
    const record = await change(
      editorOf(parts, request),
      request.params.api_key_id,
      NOTHING_TO_UPDATE,
      async (before) =>
        changeOf(before, request.body, await presentPowers(parts, gate.principal(request)), parts.clock),
    );
    return shown(record);
  });
}

interface Replacement {
  name: string;
  scopes?: string[] | undefined;
  restrictions?: Restrictions | undefined;
}

/** What is left out stays. A change that only narrows is open to every key that may change keys. */
function changeOf(before: KeyRecord, body: Replacement, giver: Powers, clock: Clock): KeyChange {
  const { name, scopes } = body;
  const restrictions = body.restrictions && withInherited(body.restrictions, giver);
  const after = { scopes: scopes ?? before.scopes, restrictions: restrictions ?? before.restrictions };
  const faults = isWithin(after, before)
    ? invalidScopes(scopes ?? [])
    : [...scopeFaults(scopes, after, giver), ...restrictionsBeyond(after.restrictions, giver.restrictions)];
  refuseProblems([...faults, ...expiryFaults(body.restrictions, clock)]);
  return { name, ...(scopes && { scopes: [...new Set(scopes)] }), ...(restrictions && { restrictions }) };
}

/** Taking away is never too much: whoever may delete keys may revoke any, its own too. */
function revokeRoute(server: HttpServer, parts: ApiKeyParts): void {
  const onRequest = parts.gate.guard('api_keys.delete');
  server.delete('/v3/api_keys/:api_key_id', { onRequest, ...shapes.revoke }, async (request, reply) => {
    const revokedAt = parts.clock.now();
    const { api_key_id: id } = request.params;
    await change(editorOf(parts, request), id, 'unable to find API Key for deletion', () => ({ revokedAt }));
    return reply.code(204).send();
  });
}

function scopesRoute(server: HttpServer, { gate }: ApiKeyParts): void {
  const onRequest = gate.guard(undefined);
  server.get('/v3/scopes', { onRequest, ...shapes.scopes }, (request) => ({
    scopes: expandScopes(gate.principal(request).scopes),
  }));
}

/** A key that was revoked is gone for those who ask over HTTP. */
async function find(keys: KeyStore, id: string, notFound: string): Promise<KeyRecord> {
  const record = await keys.find(id);
  if (!record || record.revokedAt > 0) throw fault(404, notFound);
  return record;
}

/** Changes a key as `decide` says, which is asked again when somebody else was faster. */
async function change(
  keys: KeyEditor,
  id: string,
  notFound: string,
  decide: (before: KeyRecord) => KeyChange | Promise<KeyChange>,
): Promise<KeyRecord> {
  const record = await keys.update(id, (before) => {
    if (before.revokedAt > 0) throw fault(404, notFound);
    return decide(before);
  });
  if (!record) throw fault(404, notFound);
  return record;
}

/** What the caller holds at this moment: what memory knows may be a second old, time enough to undo a restriction. */
async function presentPowers({ keys }: ApiKeyParts, principal: Principal): Promise<Powers> {
  const record = await keys.find(principal.keyId);
  if (!record || record.revokedAt > 0) throw fault(401, 'authorization required');
  return record;
}

/** @param given what the request names; the set that results is `wanted`. */
function scopeFaults(given: readonly string[] | undefined, wanted: Powers, giver: Powers): Problem[] {
  const invalid = given ? invalidScopes(given) : [];
  const beyond = scopesBeyond(wanted.scopes, giver);
  if (invalid.length || beyond.length === 0) return invalid;
  return unassignable(`the key that asks does not hold ${beyond.slice(0, 10).join(', ')}`);
}

function invalidScopes(given: readonly string[]): Problem[] {
  if (given.includes(FULL_ACCESS))
    return unassignable(`'${FULL_ACCESS}' is not a scope; full access is to leave them out`);
  return scopeProblems(given).flatMap(unassignable);
}

/** SendGrid's words first, then what is wrong. */
const unassignable = (message: string): Problem[] => [
  { field: 'scopes', message: 'invalid or unassignable scopes were given' },
  { field: 'scopes', message },
];

/** A key that is made dead is a mistake; to end one there is DELETE. */
function expiryFaults(given: Restrictions | undefined, clock: Clock): Problem[] {
  const { expires_at: expiresAt } = given ?? {};
  if (expiresAt === undefined || expiresAt * 1000 > clock.now()) return [];
  return [{ field: 'restrictions.expires_at', message: 'must be in the future' }];
}

function refuseProblems(problems: Problem[]): void {
  if (problems.length) throw new HttpFault(400, { errors: problems });
}

/** Never the hash. Without restrictions exactly what SendGrid answers. */
function shown(record: Pick<KeyRecord, 'id' | 'name' | 'scopes' | 'restrictions'>): shapes.ShownKey {
  const { id, name, scopes, restrictions } = record;
  return {
    ...{ api_key_id: id, name, scopes: scopes.includes(FULL_ACCESS) ? expandScopes(scopes) : scopes },
    ...(Object.keys(restrictions).length > 0 && { restrictions }),
  };
}
