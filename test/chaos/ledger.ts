// What clients were told and what arrived: the two sides that are compared at the end of a round.
import { createHash } from 'node:crypto';

/**
 * What a client knows of its message. accepted: 250. temporary: 4yz. permanent: 5yz. unanswered: the connection ended
 * behind the final dot. unfinished: it ended, or a command was refused, before the final dot was sent.
 */
export type Fate = 'accepted' | 'temporary' | 'permanent' | 'unanswered' | 'unfinished';

export interface Submitted {
  id: string;
  from: string;
  to: string[];
  /** Of the octets as the client means them; undefined when it never got so far. */
  size: number;
  digest: string;
  /** The server must refuse it for good. */
  isBad: boolean;
  fate: Fate;
  reply: string;
}

export interface Arrival {
  /** Milliseconds since the epoch. */
  at: number;
  mailFrom: string;
  recipients: string[];
  /** The client's id; '' for a report. */
  id: string;
  /** Postern's id: from the Received field, or for a report from its Message-ID. */
  queueId: string;
  data: Buffer;
}

export class Ledger {
  readonly submitted: Submitted[] = [];
  readonly arrivals: Arrival[] = [];
  /** What the clients met that must never be: hangs, and permanent replies to what is in order. */
  readonly complaints: string[] = [];

  get accepted(): Submitted[] {
    return this.submitted.filter(({ fate }) => fate === 'accepted');
  }
}

export const digestOf = (octets: Buffer): string => createHash('sha256').update(octets).digest('base64');

/** @param data a message as the next hop got it. */
export function readArrival(data: Buffer, mailFrom: string, recipients: string[]): Arrival {
  const head = data.toString('latin1', 0, Math.min(data.length, 4096));
  const field = (pattern: RegExp): string => pattern.exec(head)?.[1] ?? '';
  // A report holds the header block of what it reports on.
  const id = mailFrom === '' ? '' : field(/^Subject: chaos (\S+)\r$/m);
  const queueId = field(id ? /^\s.*\bid (\S{22});/m : /^Message-ID: <(\S{22})@/m);
  return { at: Date.now(), mailFrom, recipients, id, queueId, data };
}
