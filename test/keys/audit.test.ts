// The audit log: whole as long as nobody tampers with it, and rotation as the log and the clients see it.
import { systemClock } from '../../src/base/clock.js';
import { systemRandom } from '../../src/base/ids.js';
import type { RedisClient } from '../../src/base/redis.js';
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { rotate } from '../../src/keys/rotate.js';
import { openDialogue } from '../support/dialogue.js';
import { ask } from '../support/contract.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { startTestWorker, submit, type TestWorker } from '../support/worker.js';
import { until } from '../support/until.js';

const STREAM = 'postern:{keys}:audit';
const HEAD = 'postern:{keys}:audit:head';
let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

const renew = (id: string, overlapSeconds: number) =>
  rotate(
    worker.keys,
    { prefix: 'SG', pepper: worker.pepper },
    { clock: systemClock, random: systemRandom },
    id,
    overlapSeconds,
  );

test('two writers at once leave a whole chain with every change in it', async () => {
  const { id } = await worker.mint();
  const other = new KeyEditor(
    worker.redis.client(),
    new AuditLog(worker.redis.client(), { ...worker.config.audit, pepper: worker.pepper }, systemClock),
    'other',
  );
  await Promise.all(
    Array.from({ length: 10 }, (_each, at) => (at % 2 ? other : worker.keys).update(id, { name: `name ${at}` })),
  );
  expect(await worker.audit.list(100, id)).toHaveLength(11);
  expect((await worker.audit.verify()).broken).toBeUndefined();
});

/** A change is heard of within milliseconds, not at once. */
async function ended(dialogue: Awaited<ReturnType<typeof worker.logIn>>): Promise<void> {
  const reply = await until('the end of the session', async () => {
    const said = await dialogue.line('MAIL FROM:<a@example.com>');
    if (!said.startsWith('250')) return said;
    return void (await dialogue.line('RSET'));
  });
  expect(reply).toMatch(/^421 4\.7\.0 /);
}

test('an old secret lives beside the new one and ends with the next rotation, in open sessions too', async () => {
  const { key, id } = await worker.mint();
  const old = await worker.logIn(key);
  const { text } = await renew(id, 3600);
  const current = await worker.logIn(text);
  for (const dialogue of [old, current]) expect(await submit(dialogue, 'Subject: x\r\n\r\n')).toMatch(/^250 /);
  await renew(id, 3600);
  await ended(old);
  expect(await submit(current, 'Subject: x\r\n\r\n')).toMatch(/^250 /);
  await renew(id, 0);
  await ended(current);
  await worker.keys.update(id, { revokedAt: 1 });
  await expect(renew(id, 0)).rejects.toThrow('is revoked');
  expect((await worker.audit.list(100, id)).map(({ action }) => action)).toEqual([
    ...['revoke', 'rotate', 'rotate', 'rotate', 'create'],
  ]);
});

test('an old secret ends at its time in a session that is open, and the log says why', async () => {
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const { record } = await renew(id, 4); // Time enough for a slow machine to be answered before.
  expect(await dialogue.line('NOOP')).toMatch(/^250 /);
  await ended(dialogue);
  expect(Date.now()).toBeGreaterThanOrEqual(record.previousUntil);
  const again = await openDialogue(worker.port);
  await again.ehlo();
  expect(await again.authPlain('apikey', key)).toMatch(/^535 5\.7\.8 .* invalid, expired, or revoked$/);
  expect(await worker.log.line('login refused', (line) => line.key === id)).toMatchObject({ verdict: 'rotated' });
  await again.close();
});

test('a full Redis does not stand in the way of revoking a key, nor of the entry that tells of it', async () => {
  const { key, id } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const client = worker.redis.client();
  await client.config('SET', 'maxmemory', '1');
  try {
    expect((await worker.keys.update(id, { revokedAt: Date.now() }))!.revokedAt).toBeGreaterThan(0);
    await ended(dialogue);
  } finally {
    await client.config('SET', 'maxmemory', '0');
  }
  expect((await worker.audit.list(10, id)).map(({ action }) => action)).toEqual(['revoke', 'create']);
  expect((await worker.audit.verify()).broken).toBeUndefined();
});

test('refused logins over both doors are summed up when the server stops', async () => {
  const { key, id } = await worker.mint();
  const other = await startTestWorker({ redis: worker.redis, roles: ['accept'] });
  await worker.keys.update(id, { revokedAt: Date.now() });
  const dialogue = await openDialogue(other.port);
  await dialogue.ehlo();
  await dialogue.authPlain('apikey', key);
  await ask(other.httpUrl, '/v3/scopes', { key });
  await dialogue.close();
  await other.stop();
  expect((await worker.audit.list(1, id))[0]).toMatchObject({
    ...{ actor: 'server', action: 'refused' },
    details: { total: 2, verdicts: { revoked: 2 }, keys: [{ id, logins: 2 }], addresses: [{ logins: 2 }] },
  });
});

describe('a log of its own', () => {
  let redis: TestRedis;
  let client: RedisClient;
  let audit: AuditLog;
  const of = (maxEntries: number, pepper = worker.pepper) => new AuditLog(client, { pepper, maxEntries }, systemClock);

  beforeAll(async () => {
    redis = await startRedis();
    client = redis.client();
  });
  beforeEach(async () => {
    await client.flushall();
    audit = of(100);
    for (let count = 1; count <= 5; count++) await write(audit, count);
  });
  afterAll(() => redis.stop());

  const write = (log: AuditLog, count: number) =>
    log.append({ actor: 'cli:me@here', action: 'update', key: 'a-key', details: { count } });
  const broken = async () => (await audit.verify()).broken;

  /** What somebody does who can write to Redis. @param forge the new fields of the entry `seq`. */
  async function replace(seq: number, forge: (entry: string, hash: string) => string[]): Promise<void> {
    const entries = await client.xrange(STREAM, '-', '+');
    await client.del(STREAM);
    for (const [id, [, entry, , hash]] of entries) {
      const fields = id === `${seq}-0` ? forge(entry!, hash!) : [entry!, hash!];
      await client.xadd(STREAM, id, 'entry', fields[0]!, 'hash', fields[1]!);
    }
  }

  test('is whole, and every change of an entry shows', async () => {
    expect(await audit.verify()).toMatchObject({ entries: 5, head: { seq: 5, first: 1 } });
    await replace(3, (entry, hash) => [entry.replace('cli:me@here', 'cli:you@here'), hash]);
    expect(await broken()).toEqual({ seq: 3, problem: 'was changed' });
  });

  test.each(['', '{}', '{', 'null'])('an entry that became %j shows', async (text) => {
    await replace(5, (_entry, hash) => [text, hash]);
    expect(await broken()).toEqual({ seq: 5, problem: 'was changed' });
  });

  test('an entry sealed with another pepper shows', async () => {
    await client.del(STREAM, HEAD);
    await write(of(100, 'another pepper'), 1);
    expect(await broken()).toEqual({ seq: 1, problem: 'was changed' });
  });

  test('two entries that changed places show', async () => {
    const [, second, third] = await client.xrange(STREAM, '-', '+');
    await replace(2, () => [third![1][1]!, third![1][3]!]);
    expect((await broken())?.seq).toBe(2);
    await replace(3, () => [second![1][1]!, second![1][3]!]);
    expect((await broken())?.seq).toBe(2);
  });

  test('a tail that was cut off shows, as far as the head was left as it is', async () => {
    await client.xdel(STREAM, '4-0', '5-0');
    expect(await broken()).toEqual({ seq: 4, problem: 'is missing, and all up to 5 with it' });
    await client.hset(HEAD, 'seq', '4');
    expect(await broken()).toEqual({ seq: 4, problem: 'is missing' });
  });

  test('a head that was set back shows, and one that was lost; the log goes on behind it', async () => {
    const before = await client.hgetall(HEAD);
    await client.hset(HEAD, 'seq', '3');
    expect(await broken()).toMatchObject({ seq: 4 });
    await client.del(HEAD);
    expect(await broken()).toMatchObject({ seq: 1 });
    await write(audit, 6);
    expect((await audit.list(1))[0]).toMatchObject({ seq: 6 });
    expect(before).toMatchObject({ seq: '5' });
  });

  test('an emptied log shows', async () => {
    await client.del(STREAM);
    expect(await broken()).toEqual({ seq: 1, problem: 'is missing, and all up to 5 with it' });
  });

  test('beyond its bound the oldest go, and what is left is whole, for a process with a smaller bound too', async () => {
    const small = of(3);
    for (let count = 6; count <= 9; count++) await write(small, count);
    expect(await audit.verify()).toMatchObject({ entries: 3, head: { seq: 9, first: 7 } });
    expect((await audit.list(10)).map(({ seq }) => seq)).toEqual([9, 8, 7]);
    await write(audit, 10);
    expect(await audit.verify()).toMatchObject({ entries: 4, head: { seq: 10, first: 7 } });
    await client.xdel(STREAM, '7-0');
    expect(await broken()).toEqual({ seq: 7, problem: 'is missing' });
  });
});

test('an entry that is changed, or taken out, is named', async () => {
  const client = worker.redis.client();
  await worker.mint();
  const before = await worker.audit.verify();
  const { seq } = before.head;
  await client.xdel(STREAM, `${seq}-0`);
  expect((await worker.audit.verify()).broken).toEqual({ seq, problem: 'is missing' });
  await worker.mint();
  expect((await worker.audit.verify()).broken).toEqual({ seq, problem: 'is missing' });
  await client.xdel(STREAM, '2-0');
  expect((await worker.audit.verify()).broken?.seq).toBe(2);
});
