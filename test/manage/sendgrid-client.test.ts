// The official client library, unmodified but for its base URL.
import { Client } from '@sendgrid/client';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let worker: TestWorker;
let client: Client;

beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  client = clientOf((await worker.mint()).key);
});
afterAll(() => worker.stop());

function clientOf(key: string, baseUrl = worker.httpUrl): Client {
  const made = new Client();
  made.setApiKey(key);
  made.setDefaultRequest('baseUrl', baseUrl);
  return made;
}

interface Key {
  api_key: string;
  api_key_id: string;
  name: string;
  scopes: string[];
}

it('makes, lists, reads, changes and deletes a key', async () => {
  const [made, key] = (await client.request({
    ...{ method: 'POST', url: '/v3/api_keys', body: { name: 'My API Key', scopes: ['mail.send', 'alerts.read'] } },
  })) as [{ statusCode: number }, Key];
  expect(made.statusCode).toBe(201);
  expect(Object.keys(key)).toEqual(['api_key', 'api_key_id', 'name', 'scopes']);

  const url = `/v3/api_keys/${key.api_key_id}`;
  const body = async (request: Parameters<Client['request']>[0]) => (await client.request(request))[1] as unknown;
  expect(await body({ method: 'GET', url: '/v3/api_keys', qs: { limit: 1 } })).toEqual({
    result: [{ name: 'My API Key', api_key_id: key.api_key_id }],
  });
  expect(await body({ method: 'PATCH', url, body: { name: 'A New Hope' } })).toEqual({
    ...{ api_key_id: key.api_key_id, name: 'A New Hope' },
  });
  expect(await body({ method: 'PUT', url, body: { name: 'Profiles', scopes: ['user.profile.read'] } })).toEqual({
    ...{ api_key_id: key.api_key_id, name: 'Profiles', scopes: ['user.profile.read'] },
  });
  expect(await body({ method: 'GET', url })).toMatchObject({ name: 'Profiles', scopes: ['user.profile.read'] });
  expect(await clientOf(key.api_key).request({ method: 'GET', url: '/v3/scopes' })).toMatchObject([
    ...[{ statusCode: 200 }, { scopes: ['user.profile.read'] }],
  ]);
  expect((await client.request({ method: 'DELETE', url }))[0].statusCode).toBe(204);
  await expect(client.request({ method: 'GET', url })).rejects.toMatchObject({
    ...{ code: 404, response: { body: { errors: [{ field: null, message: 'unable to find API Key' }] } } },
  });
});

it('reads a refusal', async () => {
  await expect(client.request({ method: 'POST', url: '/v3/api_keys', body: {} })).rejects.toMatchObject({
    ...{ code: 400, response: { body: { errors: [{ field: 'name', message: 'missing required argument' }] } } },
  });
  await expect(clientOf('SG.none').request({ method: 'GET', url: '/v3/api_keys' })).rejects.toMatchObject({
    ...{ code: 401, response: { body: { errors: [{ field: null, message: 'authorization required' }] } } },
  });
});

it('may have a base URL with a slash at its end', async () => {
  const other = clientOf((await worker.mint()).key, `${worker.httpUrl}/`);
  expect((await other.request({ method: 'GET', url: '/v3/scopes' }))[0].statusCode).toBe(200);
});
