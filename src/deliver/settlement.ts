// From the outcomes of an attempt to what the spool records: the new status of each recipient, the events of the
// history, and whether and when the message is tried again.
import type { MessageEvent, EventType } from '../message/event.js';
import { named } from '../message/event.js';
import type { RecipientChange, RecipientState, RecipientStatus } from '../message/recipient.js';
import type { Lease, Settlement } from '../spool/spool.js';
import type { Outcome, OutcomeKind } from './outcome.js';
import { isGivenUp, retryDelayMs, type RetrySettings } from './schedule.js';

/** Different replies of one attempt that the history names; each recipient keeps its own all the same. */
const MAX_EVENTS = 20;

/** @param chance from 0 to 1, for the jitter. */
export function settlementOf(
  lease: Lease,
  indexes: number[],
  outcomes: Outcome[],
  settings: RetrySettings,
  now: number,
  chance: number,
): Settlement {
  const attempts = 1 + Math.max(0, ...indexes.map((index) => lease.recipients[index]!.attempts));
  const retryAt = now + retryDelayMs(settings, attempts, chance);
  const { acceptedAt, sendAt = 0 } = lease.record;
  const givenUp = isGivenUp(settings, Math.max(acceptedAt, sendAt, lease.retriedAt), retryAt);
  const recipients = indexes.map((index, at): RecipientChange => {
    const before = lease.recipients[index]!;
    // Doubt about a lost attempt stays with the recipient until it is final.
    const doubted = { ...before, inDoubt: before.inDoubt + lease.lostAttempts };
    const status = statusAfter(doubted, outcomes[at]!, givenUp, now);
    return { index, status };
  });
  const pending = recipients.some(({ status }) => status.state === 'pending');
  return {
    recipients,
    events: eventsOf(lease, indexes, outcomes, { at: now, retryAt: pending ? retryAt : undefined }, givenUp),
    retryAt: pending ? retryAt : undefined,
    keepBody: outcomes.some(({ kind }) => kind === 'captured'),
  };
}

function statusAfter(before: RecipientStatus, outcome: Outcome, givenUp: boolean, now: number): RecipientStatus {
  const { kind, reply, hop } = outcome;
  const inDoubt = before.inDoubt + (kind === 'in-doubt' ? 1 : 0);
  return { state: stateAfter(kind, givenUp), attempts: before.attempts + 1, at: now, reply, hop, inDoubt };
}

function stateAfter(kind: OutcomeKind, givenUp: boolean): RecipientState {
  if (kind !== 'deferred' && kind !== 'in-doubt') return kind;
  return givenUp ? 'failed' : 'pending';
}

/** One event for all recipients that met with the same. */
function eventsOf(
  lease: Lease,
  indexes: number[],
  outcomes: Outcome[],
  when: { at: number; retryAt: number | undefined },
  givenUp: boolean,
): MessageEvent[] {
  const groups = new Map<string, { outcome: Outcome; to: string[] }>();
  outcomes.forEach((outcome, at) => {
    const key = `${outcome.kind} ${outcome.hop} ${outcome.reply}`;
    const group = groups.get(key) ?? { outcome, to: [] };
    group.to.push(lease.record.envelope.to[indexes[at]!]!);
    groups.set(key, group);
  });
  const events = [...groups.values()].flatMap(({ outcome, to }) => describe(outcome, to, when, givenUp));
  const left = events.length - MAX_EVENTS;
  return left > 0 ? [...events.slice(0, MAX_EVENTS), { ...events[MAX_EVENTS]!, recipients: [], more: left }] : events;
}

function describe(
  { kind, reply, hop }: Outcome,
  to: string[],
  { at, retryAt }: { at: number; retryAt: number | undefined },
  givenUp: boolean,
): MessageEvent[] {
  const event = (type: EventType): MessageEvent => ({ type, at, ...named(to), reply, ...(hop ? { hop } : {}) });
  if (kind !== 'deferred' && kind !== 'in-doubt') return [event(kind)];
  if (givenUp) return [{ ...event('failed'), reply: `given up: ${reply}` }];
  return [{ ...event(kind), ...(retryAt === undefined ? {} : { retryAt }) }];
}
