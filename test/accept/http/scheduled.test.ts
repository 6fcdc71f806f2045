// Mail for later, batches of it, and requests that are made twice.
import { call, mail, sendJson, type Json } from '../../support/http-send.js';
import { statusOf } from '../../../src/report/history.js';
import { startRedis } from '../../support/redis.js';
import { startNextHop, type NextHop } from '../../support/next-hop.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';
import { until } from '../../support/until.js';

let worker: TestWorker;
let hop: NextHop;
let key: string;
beforeAll(async () => {
  hop = await startNextHop();
  worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url } });
  ({ key } = await worker.mint());
});
afterAll(async () => {
  await worker.stop();
  await hop.stop();
});

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const find = async (id: string) => (await worker.desk.find(id))!;
const statusNow = async (id: string) => statusOf(await find(id));
const hasStatus = (id: string, status: string) =>
  until(`${id} is ${status}`, async () => (await statusNow(id)) === status);
const deliveries = (id: string) => hop.messages.filter(({ data }) => data.toString().includes(`\tid ${id};`)).length;

/** Its time has come. */
const makeDue = (id: string) => worker.redis.client().zadd('postern:{s0}:later', Date.now(), id);

const newBatch = async (): Promise<string> => {
  const { status, json } = await call(worker, '/v3/mail/batch', { key });
  expect(status).toBe(201);
  return (json as { batch_id: string }).batch_id;
};
const hold = (id: string, status: string) =>
  call(worker, '/v3/user/scheduled_sends', { key, body: { batch_id: id, status } });
const letGo = (id: string) => call(worker, `/v3/user/scheduled_sends/${id}`, { method: 'DELETE', key });

it('keeps a message in the spool until its time, and sends it then', async () => {
  const later = await sendJson(worker, key, mail({ send_at: inSeconds(3600) }));
  const soon = await sendJson(worker, key, mail({ send_at: inSeconds(1) }));
  const past = await sendJson(worker, key, mail({ send_at: inSeconds(-60) }));

  expect(await statusNow(later)).toBe('scheduled');
  expect((await find(later)).retryAt).toBe((await find(later)).record.sendAt);
  await Promise.all([hasStatus(past, 'delivered'), hasStatus(soon, 'delivered')]);
  const { recipients, record } = await find(soon);
  expect(recipients[0]!.at).toBeGreaterThanOrEqual(record.sendAt!);
  expect(deliveries(later)).toBe(0);
  expect(await worker.desk.cancel(later, Date.now())).toBe('cancelled');
});

it('keeps it also when Redis is killed and everything starts again', async () => {
  const redis = await startRedis();
  const first = await startTestWorker({ redis, roles: ['accept'] });
  const minted = await first.mint();
  const id = await sendJson(first, minted.key, mail({ send_at: inSeconds(3600) }));
  await redis.kill();
  await first.stop();
  await redis.start();
  const second = await startTestWorker({ redis, env: { POSTERN_RELAY_URL: hop.url } });

  expect(statusOf((await second.desk.find(id))!)).toBe('scheduled');
  await redis.client().zadd('postern:{s0}:later', Date.now(), id);
  await until('it is delivered', async () => statusOf((await second.desk.find(id))!) === 'delivered');
  await second.stop();
  await redis.stop();
});

it('holds what is due while its batch is paused, and sends it when the batch is let go', async () => {
  const batch = await newBatch();
  const id = await sendJson(worker, key, mail({ batch_id: batch, send_at: inSeconds(3600) }));
  expect(await hold(batch, 'pause')).toMatchObject({ status: 201, json: { batch_id: batch, status: 'pause' } });
  const unscheduled = await sendJson(worker, key, mail({ batch_id: batch }));
  await makeDue(id);

  await Promise.all([hasStatus(id, 'paused'), hasStatus(unscheduled, 'paused')]);
  expect((await letGo(batch)).status).toBe(204);
  await Promise.all([hasStatus(id, 'delivered'), hasStatus(unscheduled, 'delivered')]);
  expect([deliveries(id), deliveries(unscheduled)]).toEqual([1, 1]);
});

it('drops what is due when its batch is cancelled, and nothing of a batch whose cancelling was taken back', async () => {
  const [dropped, spared] = [await newBatch(), await newBatch()];
  const [first, second] = await Promise.all(
    [dropped, spared].map((batch) => sendJson(worker, key, mail({ batch_id: batch, send_at: inSeconds(3600) }))),
  );
  await Promise.all([hold(dropped, 'cancel'), hold(spared, 'cancel')]);
  await letGo(spared);
  await Promise.all([makeDue(first!), makeDue(second!)]);

  await Promise.all([hasStatus(first!, 'cancelled'), hasStatus(second!, 'delivered')]);
  expect(await find(first!)).toMatchObject({ hasBody: false, recipients: [{ attempts: 0 }] });
  expect((await letGo(dropped)).status).toBe(204);
});

it('answers about batches as SendGrid does', async () => {
  const batch = await newBatch();
  const path = `/v3/user/scheduled_sends/${batch}`;
  const get = async (url: string) => (await call(worker, url, { method: 'GET', key })).json;

  expect(await get(`/v3/mail/batch/${batch}`)).toEqual({ batch_id: batch });
  expect(await call(worker, '/v3/mail/batch/unknown', { method: 'GET', key })).toMatchObject({
    status: 400,
    json: { errors: [{ field: 'batch_id', message: 'invalid batch id' }] },
  });
  expect(await get(path)).toEqual([]);
  expect((await hold('unknown', 'pause')).status).toBe(400);
  expect((await hold(batch, 'stop')).status).toBe(400);
  expect(await call(worker, '/v3/user/scheduled_sends', { key, body: { status: 'pause' } })).toMatchObject({
    json: { errors: [{ field: 'batch_id', message: 'missing required argument' }] },
  });
  await hold(batch, 'pause');
  expect((await hold(batch, 'cancel')).status).toBe(400);
  expect(await get(path)).toEqual([{ batch_id: batch, status: 'pause' }]);
  expect((await call(worker, path, { method: 'PATCH', key, body: { status: 'cancel' } })).status).toBe(204);
  expect(await get('/v3/user/scheduled_sends')).toEqual([{ batch_id: batch, status: 'cancel' }]);
  expect((await letGo(batch)).status).toBe(204);
  expect((await letGo(batch)).status).toBe(404);
  const { key: other } = await worker.mint({ scopes: ['mail.send'] });
  expect((await call(worker, '/v3/mail/batch', { key: other })).status).toBe(403);
});

describe('an Idempotency-Key', () => {
  const sendOnce = (onceKey: string, more: Json = {}, apiKey = key) =>
    call(worker, '/v3/mail/send', { key: apiKey, body: mail(more), headers: { 'Idempotency-Key': onceKey } });
  const idOf = ({ headers }: { headers: Headers }) => headers.get('x-message-id');

  it('makes one message of a request that comes again, and of requests at once', async () => {
    const to = [{ email: 'a@example.com' }, { email: 'b@example.com' }];
    const personalizations = to.map((each) => ({ to: [each] }));
    const before = (await worker.desk.list(1000)).length;
    const answers = await Promise.all(Array.from({ length: 8 }, () => sendOnce('order 17', { personalizations })));
    answers.push(await sendOnce('order 17', { personalizations }));

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(8);
    expect((await worker.desk.list(1000)).length).toBe(before + 2);
  });

  it('of one API key says nothing about another', async () => {
    const { key: other } = await worker.mint();

    expect(idOf(await sendOnce('shared'))).not.toBe(idOf(await sendOnce('shared', {}, other)));
  });

  it('is free again after a request that was refused', async () => {
    expect((await sendOnce('again', { subject: '' })).status).toBe(400);
    expect((await sendOnce('again')).headers.get('idempotency-replayed')).toBeNull();
  });

  it('is kept for a day', async () => {
    await sendOnce('a day');
    const client = worker.redis.client();
    const keys = await client.keys('postern:{s0}:once:*');
    const times = await Promise.all(keys.map((name) => client.ttl(name)));

    expect(Math.max(...times)).toBeGreaterThan(86_000);
    expect(keys.join()).not.toContain('a day');
  });

  it('is refused with another body, and the same body is answered as before', async () => {
    const first = await sendOnce('other body');
    const other = await sendOnce('other body', { subject: 'Another' });
    const again = await sendOnce('other body');

    expect([other.status, other.json]).toEqual([
      422,
      { errors: [expect.objectContaining({ message: expect.stringMatching(/^Idempotency-Key was used/) as string })] },
    ]);
    expect(idOf(again)).toBe(idOf(first));
  });

  it('that is too long is refused', async () => {
    expect((await sendOnce('x'.repeat(256))).status).toBe(400);
  });
});
