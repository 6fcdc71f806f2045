// What a settlement has to tell the sender: which recipients failed for good, wait for long, or were passed on where
// the sender asked to hear of it (RFC 3461). The report becomes durable in the same step as what it tells.
import type { RecipientDsn } from '../message/dsn.js';
import { wantsReport } from '../message/dsn.js';
import type { RecipientChange } from '../message/recipient.js';
import { reportOf, type ReportAction, type ReportedRecipient } from '../report/delivery-report.js';
import type { Lease, Settlement } from '../spool/spool.js';
import type { Outcome } from './outcome.js';
import { giveUpAt, isDelayed, type RetrySettings } from './schedule.js';

export interface ReportParts {
  hostname: string;
  /** Makes queue ids for reports. */
  newId: () => string;
  settings: RetrySettings;
}

/**
 * @param outcomes of this attempt, one for each of the settlement's recipients.
 * @param now milliseconds since the epoch.
 */
export function withReport(
  lease: Lease,
  settlement: Settlement,
  outcomes: Outcome[],
  { hostname, newId, settings }: ReportParts,
  now: number,
): Settlement {
  const { record, head, retriedAt, warnedAt } = lease;
  const since = Math.max(record.acceptedAt, record.sendAt ?? 0, retriedAt);
  const warns = settlement.retryAt !== undefined && warnedAt === 0 && isDelayed(settings, since, now);
  const recipients = settlement.recipients.flatMap((change, at) => told(lease, change, outcomes[at]!, warns));
  const marked: Settlement = warns ? { ...settlement, warnedAt: now } : settlement;
  if (recipients.length === 0) return marked;
  const isWhole = head.length === record.size;
  const facts = { hostname, at: now, original: record, head, isWhole, recipients, giveUpAt: giveUpAt(settings, since) };
  const report = reportOf({ ...facts, id: newId() });
  if (!report) return marked;
  const type = recipients.some(({ action }) => action === 'failed') ? 'bounced' : 'reported';
  const reply = `report ${report.record.id} to <${record.envelope.from}>`;
  return { ...marked, report, events: [...settlement.events, { type, at: now, reply }] };
}

function told(lease: Lease, { index, status }: RecipientChange, outcome: Outcome, warns: boolean): ReportedRecipient[] {
  const { dsn, to } = lease.record.envelope;
  const action = actionOf(status.state, outcome, warns);
  if (!action || !wantsReport(dsn, index, WISH[action])) return [];
  const { orcpt }: RecipientDsn = dsn?.recipients[index] ?? {};
  const { reply, hop } = status;
  return [{ address: to[index]!, ...(orcpt && { original: orcpt }), action, reply, hop }];
}

const WISH = { failed: 'FAILURE', delayed: 'DELAY', relayed: 'SUCCESS', delivered: 'SUCCESS' } as const;

/** A next hop that took NOTIFY over reports a delivery itself. */
function actionOf(state: string, { reportsPassedOn }: Outcome, warns: boolean): ReportAction | undefined {
  if (state === 'failed') return 'failed';
  if (state === 'pending') return warns ? 'delayed' : undefined;
  if (state === 'captured') return 'delivered';
  return state === 'delivered' && !reportsPassedOn ? 'relayed' : undefined;
}
