// The audit log: whole as long as nobody tampers with it, and rotation as the log and the clients see it.
import { systemClock } from '../../src/base/clock.js';
import { systemRandom } from '../../src/base/ids.js';
import { AuditLog } from '../../src/keys/audit.js';
import { KeyEditor } from '../../src/keys/editor.js';
import { rotate } from '../../src/keys/rotate.js';
import { startTestWorker, submit, type TestWorker } from '../support/worker.js';
import { until } from '../support/until.js';

const STREAM = 'postern:{keys}:audit';
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
