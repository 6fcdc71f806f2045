// GET /openapi.json: valid, and about what is really served.
import { compileErrors, validate } from '@readme/openapi-parser';
import { ask } from '../support/contract.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
});
afterAll(() => worker.stop());

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { security?: object[]; responses: Record<string, object> }>>;
}

it('is a valid OpenAPI 3.1 document', async () => {
  const { status, json } = await ask(worker.httpUrl, '/openapi.json');
  const outcome = await validate(structuredClone(json) as Parameters<typeof validate>[0]);

  expect(status).toBe(200);
  expect((json as Document).openapi).toBe('3.1.0');
  expect(outcome.valid || compileErrors(outcome)).toBe(true);
});

it('names every call, the scope that it needs and the refusals that it may answer', async () => {
  const { paths } = (await ask(worker.httpUrl, '/openapi.json')).json as Document;
  const calls = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => [`${method} ${path}`, security]),
  );

  expect(Object.fromEntries(calls)).toMatchObject({
    'post /v3/api_keys': [{ key: ['api_keys.create'] }],
    'get /v3/api_keys': [{ key: ['api_keys.read'] }],
    'get /v3/api_keys/{api_key_id}': [{ key: ['api_keys.read'] }],
    'patch /v3/api_keys/{api_key_id}': [{ key: ['api_keys.update'] }],
    'put /v3/api_keys/{api_key_id}': [{ key: ['api_keys.update'] }],
    'delete /v3/api_keys/{api_key_id}': [{ key: ['api_keys.delete'] }],
    'get /v3/scopes': [{ key: [] }],
    'get /v3/messages': [{ key: ['messages.read'] }],
    'get /v3/messages/{id}': [{ key: ['messages.read'] }],
    'get /metrics': [{}, { key: ['stats.read'] }],
    'get /healthz': undefined,
    'get /readyz': undefined,
  });
  for (const [path, methods] of Object.entries(paths).filter(([path]) => path.startsWith('/v3/'))) {
    for (const [method, { responses }] of Object.entries(methods)) {
      expect([path, method, Object.keys(responses)]).toEqual([
        path,
        method,
        expect.arrayContaining(['401', '429', '503']),
      ]);
    }
  }
});

it('really serves every call that it names', async () => {
  const { paths } = (await ask(worker.httpUrl, '/openapi.json')).json as Document;
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      const { status } = await ask(worker.httpUrl, path.replace(/\{\w+\}/g, 'x'), { method: method.toUpperCase() });
      // The old call answers 400 to whoever has no key.
      const expected = path.startsWith('/v3/') ? 401 : path.startsWith('/api/') ? 400 : 200;
      expect([path, method, status]).toEqual([path, method, expected]);
    }
  }
});
