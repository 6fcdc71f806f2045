// What became of a message, in the words that people use: one status for the whole, and its time line.
import { maskKeys } from '../base/mask.js';
import type { MessageEvent } from '../message/event.js';
import type { RecipientState } from '../message/recipient.js';
import type { StoredMessage } from '../message/stored-message.js';

export type MessageStatus =
  | 'scheduled'
  | 'paused'
  | 'queued'
  | 'deferred'
  | 'delivered'
  | 'captured'
  | 'failed'
  | 'partly-failed'
  | 'cancelled'
  | 'set-aside';

export const messageStatuses: MessageStatus[] = [
  ...(['scheduled', 'paused', 'queued', 'deferred', 'delivered', 'captured'] as const),
  ...(['failed', 'partly-failed', 'cancelled', 'set-aside'] as const),
];

/** One word for the state of all recipients. */
export function statusOf(message: StoredMessage): MessageStatus {
  if (message.damage && message.doneAt === 0) return 'set-aside';
  if (message.doneAt === 0) return statusOnItsWay(message);
  const states = new Set(message.recipients.map(({ state }) => state));
  if (message.cancelledAt && states.has('pending')) return 'cancelled';
  if (!states.has('failed')) return states.has('captured') ? 'captured' : 'delivered';
  return states.size === 1 ? 'failed' : 'partly-failed';
}

function statusOnItsWay({ isPaused, recipients, retryAt }: StoredMessage): MessageStatus {
  if (isPaused) return 'paused';
  if (recipients.some(({ attempts }) => attempts > 0)) return 'deferred';
  return retryAt > 0 ? 'scheduled' : 'queued';
}

/** A recipient that was pending when its message was cancelled is cancelled. */
export function recipientState({ recipients, cancelledAt, doneAt }: StoredMessage, index: number): RecipientState {
  const { state } = recipients[index]!;
  return cancelledAt && doneAt && state === 'pending' ? 'cancelled' : state;
}

/** The events, the acceptance first. */
export function timelineOf(message: StoredMessage): MessageEvent[] {
  const { acceptedAt, clientAddress } = message.record;
  return [{ type: 'accepted', at: acceptedAt, reply: `from ${clientAddress}` }, ...message.events];
}

/** What an operator wants in a list: the last bad words about a message, or the last good ones. */
export function lastWords(message: StoredMessage): string {
  const bad = message.events.findLast(({ type }) => ['failed', 'deferred', 'in-doubt'].includes(type));
  const last = message.events.findLast(({ type }) => type !== 'bounced' && type !== 'reported');
  const isGood = ['delivered', 'captured'].includes(statusOf(message));
  return message.damage || ((isGood ? last : (bad ?? last))?.reply ?? '');
}

/** A message as JSON for the command line and the HTTP API; times in ISO 8601, no octets of the body. */
export function describeMessage(message: StoredMessage): Record<string, unknown> {
  const { id, envelope, keyId, acceptedAt, size, clientAddress, messageId, subject, reportOf } = message.record;
  return {
    ...{ id, status: statusOf(message), from: envelope.from, subject: maskKeys(subject), message_id: messageId, size },
    ...(reportOf ? { report_of: reportOf } : {}),
    ...{ api_key_id: keyId, client: clientAddress, accepted_at: iso(acceptedAt), finished_at: iso(message.doneAt) },
    next_attempt_at: iso(message.retryAt),
    ...wishesOf(message.record),
    recipients: envelope.to.map((address, index) => {
      const { attempts, at, reply, hop, inDoubt } = message.recipients[index]!;
      return { address, state: recipientState(message, index), attempts, at: iso(at), reply, hop, in_doubt: inDoubt };
    }),
    events: timelineOf(message).map(({ at, retryAt, ...event }) => ({
      at: iso(at),
      ...event,
      ...(retryAt ? { next_attempt_at: iso(retryAt) } : {}),
    })),
  };
}

/** What an API client gave along; nothing for a message that came by SMTP. */
function wishesOf({ categories, customArgs, sendAt, batchId }: StoredMessage['record']): Record<string, unknown> {
  return {
    ...(categories ? { categories } : {}),
    ...(customArgs ? { custom_args: customArgs } : {}),
    ...(sendAt ? { send_at: iso(sendAt) } : {}),
    ...(batchId ? { batch_id: batchId } : {}),
  };
}

function iso(ms: number): string | null {
  return ms ? new Date(ms).toISOString() : null;
}
