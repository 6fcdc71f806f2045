import type { Lease } from '../../src/spool/spool.js';
import { untried, type RecipientStatus } from '../../src/message/recipient.js';
import type { Outcome } from '../../src/deliver/outcome.js';
import { isGivenUp, retryDelayMs } from '../../src/deliver/schedule.js';
import { settlementOf } from '../../src/deliver/settlement.js';
import { makeRecord } from '../support/spool.js';

const settings = {
  retryFirstSeconds: 60,
  retryFactor: 2,
  retryMaxSeconds: 3600,
  giveUpHours: 72,
  delayWarningHours: 4,
};
const HOUR = 3_600_000;

function leaseOf(recipients: RecipientStatus[], acceptedAt = 0): Lease {
  const to = recipients.map((_status, index) => `r${index}@example.com`);
  return {
    record: makeRecord(1, to, acceptedAt),
    recipients,
    lostAttempts: 0,
    retriedAt: 0,
    warnedAt: 0,
    body: () => Buffer.alloc(1),
    head: Buffer.alloc(1),
    token: {},
  };
}

const outcome = (kind: Outcome['kind'], reply: string = kind): Outcome => ({ kind, reply, hop: 'hop:25' });

test('waits grow by the factor to the maximum, with up to a quarter of chance', () => {
  expect([1, 2, 3, 7, 50].map((attempt) => retryDelayMs(settings, attempt, 0))).toEqual([
    60_000, 120_000, 240_000, 3_600_000, 3_600_000,
  ]);
  expect(retryDelayMs(settings, 1, 1)).toBe(45_000);
});

test('a message is given up when its next attempt would be beyond its time', () => {
  expect(isGivenUp(settings, 0, 72 * HOUR)).toBe(false);
  expect(isGivenUp(settings, 0, 72 * HOUR + 1)).toBe(true);
});

test('each recipient gets its own outcome, and one event for all that met the same', () => {
  const lease = leaseOf([untried, untried, untried, untried]);
  const outcomes = [
    outcome('delivered', '250 ok'),
    outcome('failed', '550 no'),
    outcome('deferred', '450 later'),
    outcome('delivered', '250 ok'),
  ];
  const settlement = settlementOf(lease, [0, 1, 2, 3], outcomes, settings, 1000, 0);
  expect(settlement.recipients.map(({ status }) => status.state)).toEqual([
    'delivered',
    'failed',
    'pending',
    'delivered',
  ]);
  expect(settlement.retryAt).toBe(61_000);
  expect(settlement.events).toEqual([
    { type: 'delivered', at: 1000, recipients: ['r0@example.com', 'r3@example.com'], reply: '250 ok', hop: 'hop:25' },
    { type: 'failed', at: 1000, recipients: ['r1@example.com'], reply: '550 no', hop: 'hop:25' },
    { type: 'deferred', at: 1000, recipients: ['r2@example.com'], reply: '450 later', hop: 'hop:25', retryAt: 61_000 },
  ]);
});

test('only the recipients that were tried change, and doubt is counted', () => {
  const tried = { ...untried, attempts: 2, inDoubt: 1 };
  const settlement = settlementOf(
    leaseOf([{ ...untried, state: 'delivered' }, tried]),
    [1],
    [outcome('in-doubt')],
    settings,
    0,
    0,
  );
  expect(settlement.recipients).toEqual([
    { index: 1, status: { ...tried, attempts: 3, inDoubt: 2, reply: 'in-doubt', hop: 'hop:25' } },
  ]);
  expect(settlement.retryAt).toBe(240_000);
});

test('beyond the give-up time what is deferred fails, with the last words', () => {
  const settlement = settlementOf(leaseOf([untried]), [0], [outcome('deferred', '450 later')], settings, 73 * HOUR, 0);
  expect(settlement).toMatchObject({ retryAt: undefined, events: [{ type: 'failed', reply: 'given up: 450 later' }] });
  expect(settlement.recipients[0]!.status.state).toBe('failed');
});
