// What every route has in common, on a server with routes of this test alone.
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import * as z from 'zod';
import { fault, HttpFault, mailErrorBody } from '../../src/base/http-error.js';
import { makeHttpServer, openHttp, type HttpServer } from '../../src/base/http-server.js';
import { StoreUnavailable } from '../../src/base/redis.js';
import { ask } from '../support/contract.js';
import { TestLog } from '../support/log.js';

const log = new TestLog();
let server: HttpServer;
let base: string;

beforeAll(async () => {
  server = await makeHttpServer({ trustedProxies: null }, log.log);
  const body = z.object({ name: z.string('name please'), list: z.array(z.number('a number')).optional() });
  server.post(
    '/v3/things',
    { schema: { body, response: { 201: z.object({ name: z.string() }) } } },
    async (request, reply) => reply.code(201).send({ name: request.body.name }),
  );
  server.post('/v3/small', { bodyLimit: 1000 }, () => ({}));
  server.get('/v3/things/:id', { schema: { params: z.object({ id: z.string() }) } }, ({ params }) => params);
  server.delete('/v3/things/:id', (_request, reply) => reply.code(204).send());
  server.get('/faults/:kind', ({ params }) => {
    const { kind } = params as { kind: string };
    if (kind === 'meant') throw fault(418, 'short and stout', 'pot');
    if (kind === 'mail') throw new HttpFault(400, mailErrorBody('no', 'to'), { 'x-why': 'so' });
    if (kind === 'store') throw new StoreUnavailable('redis at 10.1.2.3 is gone');
    throw new Error('an inner matter');
  });
  base = `http://127.0.0.1:${await openHttp(server, '127.0.0.1', 0)}`;
});
afterAll(() => server.close());

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (body: unknown, headers: Record<string, string> = {}) =>
  ask(base, '/v3/things', { method: 'POST', body, headers });

it.each(['/v3//things/7', '//v3/things/7', '//v3///things//7', '/v3/things/7?a=b//c'])(
  'takes %s for what its client meant',
  async (path) => {
    expect(await ask(base, path)).toMatchObject({ status: 200, json: { id: '7' } });
  },
);

it.each(['application/json', 'text/nonsense', 'nonsense'])(
  'passes over Content-Type: %s on a request without a body',
  async (type) => {
    const headers = { 'content-type': type };
    expect((await ask(base, '/v3/things/7', { headers })).status).toBe(200);
    expect((await ask(base, '/v3/things/7', { method: 'DELETE', headers })).status).toBe(204);
  },
);

it('answers Expect: 100-continue', async () => {
  expect((await post('{"name":"a"}', { ...JSON_TYPE, expect: '100-continue' })).status).toBe(201);
});

it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])(
  'reads JSON as %s',
  async (type) => {
    expect((await post('{"name":"ä"}', { 'content-type': type })).json).toEqual({ name: 'ä' });
  },
);

it('reads gzip, whole or in pieces', async () => {
  const packed = gzipSync('{"name":"packed"}');
  const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
  expect((await post(packed, headers)).json).toEqual({ name: 'packed' });
  expect((await post(packed, { ...headers, 'transfer-encoding': 'chunked' })).json).toEqual({ name: 'packed' });
});

it('does not unpack more than a body may have', async () => {
  const body = gzipSync(Buffer.alloc(10_000_000, ' '));
  const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
  const answer = await ask(base, '/v3/small', { method: 'POST', body, headers });

  expect(answer).toMatchObject({ status: 413, json: { errors: [{ field: null, message: 'content too large' }] } });
});

it.each<[string, unknown, Record<string, string>, number, string | null, string]>([
  ['what is not gzip', 'plain', { ...JSON_TYPE, 'content-encoding': 'gzip' }, 400, null, 'Content-Encoding'],
  [
    'half of a gzip file',
    gzipSync('{"name":"packed"}').subarray(0, 20),
    { ...JSON_TYPE, 'content-encoding': 'gzip' },
    400,
    null,
    'Content-Encoding',
  ],
  ['another encoding', 'x', { ...JSON_TYPE, 'content-encoding': 'br' }, 415, null, 'Content-Encoding'],
  [
    'another type',
    'name=x',
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    null,
    'Content-Type should be',
  ],
  ['no type', 'x', {}, 415, null, 'Content-Type should be'],
  ['bad UTF-8', Buffer.from('{"name":"\xff"}', 'latin1'), JSON_TYPE, 415, null, 'Invalid UTF8 in request'],
  ['no JSON', '{"name":', JSON_TYPE, 400, null, 'Bad Request'],
  ['nothing', '', JSON_TYPE, 400, null, ''],
  ['a wrong member', { name: 'a', list: [1, 'x'] }, {}, 400, 'list.1', 'a number'],
])('refuses %s', async (_what, body, headers, status, field, message) => {
  const answer = await post(body, headers);

  expect(answer.status).toBe(status);
  expect(answer.json).toEqual({ errors: [{ field, message: expect.stringContaining(message) as string }] });
});

it('refuses a body that is too large', async () => {
  const answer = await ask(base, '/v3/small', { method: 'POST', body: { padding: 'x'.repeat(1000) } });
  expect(answer).toMatchObject({ status: 413, json: { errors: [{ field: null, message: 'content too large' }] } });
});

it('names every wrong member at once', async () => {
  expect((await post({ list: ['x'] })).json).toEqual({
    errors: [
      { field: 'name', message: 'name please' },
      { field: 'list.0', message: 'a number' },
    ],
  });
});

it('answers a method that a path does not have with 405 and those that it has', async () => {
  const answer = await ask(base, '/v3//things', { method: 'PUT', body: {} });

  expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  expect(answer.json).toEqual({ errors: [{ field: null, message: 'POST method allowed only' }] });
  expect(await ask(base, '/v3/things/7', { method: 'OPTIONS' })).toMatchObject({
    ...{ status: 204, text: '', headers: { allow: 'GET, HEAD, DELETE' } },
  });
  expect((await ask(base, '/v3/things/7', { method: 'HEAD' })).status).toBe(200);
});

it.each(['/', '/v3', '/v3/thing', '/v3/things/7/8', '/%00', '/%zz', `/v3/things/${'x'.repeat(600)}`])(
  'does not know %s',
  async (path) => {
    expect(await ask(base, path)).toMatchObject({
      status: 404,
      text: '{"errors":[{"field":null,"message":"not found"}]}',
    });
  },
);

it.each([
  ['what is not HTTP', 'hello\r\n\r\n', 400],
  ['a header without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
])('answers %s in the same shape', async (_what, octets, status) => {
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.write(octets);
  const chunks: string[] = [];
  for await (const chunk of socket) chunks.push(String(chunk));

  expect(chunks.join('')).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*"errors":\\[`));
});

it('answers what was thrown for the client as it is, and nothing else', async () => {
  expect(await ask(base, '/faults/meant')).toMatchObject({
    ...{ status: 418, text: '{"errors":[{"field":"pot","message":"short and stout"}]}' },
  });
  expect(await ask(base, '/faults/mail')).toMatchObject({
    ...{ status: 400, text: '{"errors":[{"message":"no","field":"to","help":null}]}', headers: { 'x-why': 'so' } },
  });
  expect(await ask(base, '/faults/store')).toMatchObject({
    status: 503,
    json: { errors: [{ message: 'service unavailable' }] },
  });
  expect(await ask(base, '/faults/other')).toMatchObject({
    status: 500,
    json: { errors: [{ message: 'internal server error' }] },
  });
  expect(log.lines.some(({ msg }) => msg === 'an HTTP request failed')).toBe(true);
});
