// What an attempt came to, for each recipient. The one place that decides whether a fault is temporary: a 5yz reply
// to the message or the recipient is permanent, everything else, known or not, is tried again.
import { oneLine, parseReply } from '../message/reply.js';
import type { HopFault, SendResult } from './hop-connection.js';

export type OutcomeKind = 'delivered' | 'captured' | 'failed' | 'deferred' | 'in-doubt';

export interface Outcome {
  kind: OutcomeKind;
  /** The next hop's own words, or what went wrong on the way. */
  reply: string;
  hop: string;
  /** The next hop offers DSN and was told what the sender wants to hear: it reports a delivery itself. */
  reportsPassedOn?: boolean;
}

/** What a transaction came to, for each of `to`. */
export function outcomesOf({ refused, rest, reportsPassedOn }: SendResult, to: string[], hop: string): Outcome[] {
  const common = 'fault' in rest ? outcomeOfFault(rest.fault, hop) : outcomeOfReply(rest.response, hop, true);
  return to.map((recipient) => {
    const reply = refused.get(recipient);
    return reply === undefined ? { ...common, reportsPassedOn } : outcomeOfReply(reply, hop, false);
  });
}

/** A next hop that could not be reached, or did not let us in: temporary whatever it said, for it said so to us. */
export function outcomeOfConnect(fault: HopFault, hop: string): Outcome {
  return { kind: 'deferred', reply: oneLine(fault.details.response ?? fault.message), hop };
}

function outcomeOfFault(fault: HopFault, hop: string): Outcome {
  const { response, inDoubt, unfit } = fault.details;
  if (unfit) return { kind: 'failed', reply: unfit, hop };
  if (inDoubt)
    return { kind: 'in-doubt', reply: `connection lost before the final reply: ${oneLine(fault.message)}`, hop };
  return outcomeOfReply(response ?? fault.message, hop, false);
}

/** A reply that is no reply counts as temporary. */
function outcomeOfReply(raw: string, hop: string, positiveIsDelivered: boolean): Outcome {
  const reply = parseReply(raw);
  if (!reply) return { kind: 'deferred', reply: raw ? `not an SMTP reply: ${oneLine(raw)}` : 'no reply', hop };
  if (positiveIsDelivered && reply.code >= 200 && reply.code < 300)
    return { kind: 'delivered', reply: reply.text, hop };
  return { kind: reply.code >= 500 ? 'failed' : 'deferred', reply: reply.text, hop };
}
