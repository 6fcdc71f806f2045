// A put of a process that also delivers claims in the same step: the delivering side begins at once with what is in
// memory, and nobody else gets the message.
import type { Lease } from '../../src/spool/spool.js';
import { all, makeRecord, spoolFixture } from '../support/spool.js';
import { until } from '../support/until.js';

const { spoolOf } = spoolFixture();

/** A put as the funnel makes it. */
async function putAsGroup(fixture: ReturnType<typeof spoolOf>, octets: string | Buffer) {
  await until('the connection is ready', () => fixture.client.status === 'ready');
  const record = makeRecord(Buffer.byteLength(octets), ['one@example.com'], 1);
  const group = fixture.spool.group();
  await group.begin(record.id).write(Buffer.from(octets));
  await group.commit([record], 1);
  return record;
}

/** Waits in Redis until a put of this process hands something over. */
async function waitingClaim(fixture: ReturnType<typeof spoolOf>, max: number): Promise<{ claim: Promise<Lease[]> }> {
  const [source] = fixture.spool.sources();
  // The first claim makes the group.
  await until('claims are answered', () =>
    source!.claim(max).then(
      () => true,
      () => false,
    ),
  );
  const claim = source!.claim(max);
  await until('the claim waits', async () =>
    String(await fixture.client.info('clients')).includes('blocked_clients:1'),
  );
  return { claim };
}

test('a waiting claim gets what is put here, with its octets, and settles it', async () => {
  const fixture = spoolOf();
  const { claim } = await waitingClaim(fixture, 5);
  const record = await putAsGroup(fixture, 'Subject: x\r\n\r\nbody\r\n');
  const [lease] = await claim;
  expect(lease!.record).toEqual(record);
  expect(String(lease!.body() as Buffer)).toBe('Subject: x\r\n\r\nbody\r\n');
  expect(await fixture.desk.counts()).toMatchObject({ ready: 0, underWay: 1 });
  expect(await fixture.spool.renew([lease!])).toEqual([]);
  expect(await fixture.spool.settle(lease!, all(lease!, 'delivered'))).toBe(true);
  expect((await fixture.desk.find(record.id))!.recipients[0]!.state).toBe('delivered');
});

test('no more is claimed than is waited for, and the rest is there for everybody', async () => {
  const fixture = spoolOf();
  const other = spoolOf({ consumer: 'other' });
  const { claim } = await waitingClaim(fixture, 1);
  const first = await putAsGroup(fixture, 'a\r\n');
  const second = await putAsGroup(fixture, 'b\r\n');
  expect((await claim).map(({ record }) => record.id)).toEqual([first.id]);
  // The read that waited in Redis has it, or anybody who asks.
  await until('the other is connected', () => other.client.status === 'ready');
  const sources = [...fixture.spool.sources(), ...other.spool.sources()];
  const found = await until('somebody gets it', async () => {
    const leases = (await Promise.all(sources.map((source) => source.claim(1).catch(() => [])))).flat();
    return leases.length > 0 && leases;
  });
  expect(found.map(({ record }) => record.id)).toEqual([second.id]);
});

test('a large message that went in by pieces is read again', async () => {
  const fixture = spoolOf();
  const { claim } = await waitingClaim(fixture, 1);
  const octets = Buffer.alloc(600_000, 'x');
  const record = await putAsGroup(fixture, octets);
  const [lease] = await claim;
  expect(lease!.record.id).toBe(record.id);
  expect(lease!.head.length).toBeLessThan(octets.length);
});

test('what was handed over and not begun goes back to the queue, untried, when the source is closed', async () => {
  const fixture = spoolOf();
  const { claim } = await waitingClaim(fixture, 3);
  const record = await putAsGroup(fixture, 'a\r\n');
  const next = putAsGroup(fixture, 'b\r\n');
  await claim;
  await next;
  const [source] = fixture.spool.sources();
  await source!.wake();
  await source!.close();
  const other = spoolOf({ consumer: 'other' });
  const [theirs] = other.spool.sources();
  const [lease] = await until('it can be claimed', async () => {
    const leases = await theirs!.claim(5).catch(() => []);
    return leases.length > 0 && leases;
  });
  expect(lease!.record.id).not.toBe(record.id);
  expect(lease).toMatchObject({ lostAttempts: 0 });
});
