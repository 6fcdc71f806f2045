// POST /v3/mail/send: bodies that are no request, or would be too much work.
import { gzipSync } from 'node:zlib';
import { call, mail, person } from '../../support/http-send.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

let worker: TestWorker;
let key: string;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'] });
  ({ key } = await worker.mint());
});
afterAll(() => worker.stop());

describe('a request that is no request', () => {
  it.each([
    ['no JSON', '{', {}, 400, 'Bad Request'],
    ['an array', '[]', {}, 400, 'Bad Request'],
    ['null', 'null', {}, 400, 'Bad Request'],
    ['nothing', '', {}, 400, 'Bad Request'],
    [
      'another type',
      'a=b',
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      415,
      'Content-Type should be application/json',
    ],
    ['octets that are not UTF-8', Buffer.from('7b22ff227d', 'hex'), {}, 415, 'Invalid UTF8 in request'],
    ['another encoding', '{}', { 'Content-Encoding': 'br' }, 415, 'Content-Encoding should be gzip, deflate or absent'],
    ['gzip that is none', '{}', { 'Content-Encoding': 'gzip' }, 400, 'the body is not what its Content-Encoding says'],
  ])('%s', async (_name, body, headers, status, message) => {
    const answer = await call(worker, '/v3/mail/send', { key, body, headers });

    expect({ status: answer.status, json: answer.json }).toEqual({
      status,
      json: { errors: [{ message, field: null, help: null }] },
    });
  });

  it('that unpacks to more than the largest message is refused while it is unpacked', async () => {
    const body = gzipSync(Buffer.alloc(31_457_281, ' '));
    const answer = await call(worker, '/v3/mail/send', { key, body, headers: { 'Content-Encoding': 'gzip' } });

    expect([answer.status, answer.json]).toEqual([
      413,
      { errors: [{ message: 'content too large', field: null, help: null }] },
    ]);
  });

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])('%s is answered 405', async (method) => {
    const { status, text } = await call(worker, '/v3/mail/send', { method, key });

    expect([status, text]).toEqual([
      405,
      '{"errors":[{"message":"POST method allowed only","field":null,"help":null}]}',
    ]);
  });
});

it('refuses tags in texts that would be long to search', async () => {
  const content = [{ type: 'text/plain', value: 'a'.repeat(2_097_153) }];
  const substituted = { ...person({ substitutions: { b: 'c' } }), content };

  expect((await call(worker, '/v3/mail/send', { key, body: mail(substituted) })).status).toBe(413);
  expect((await call(worker, '/v3/mail/send', { key, body: mail({ content }) })).status).toBe(202);
});

it('refuses substitutions that would make a small request huge', async () => {
  const body = mail({
    ...person({ substitutions: { a: 'x'.repeat(40_000) } }),
    content: [{ type: 'text/plain', value: 'a'.repeat(1_000_000) }],
  });

  expect((await call(worker, '/v3/mail/send', { key, body })).status).toBe(413);
});
