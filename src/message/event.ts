// One line of a message's history. Events are appended and never changed.

export type EventType =
  | 'accepted'
  | 'captured'
  | 'delivered'
  | 'deferred'
  | 'failed'
  | 'bounced'
  | 'reported'
  | 'in-doubt'
  | 'retry-requested'
  | 'cancelled'
  | 'set-aside';

export interface MessageEvent {
  type: EventType;
  /** Milliseconds since the epoch. */
  at: number;
  /** Recipients it concerns; absent = all of them. Cut to the first ten, `more` says how many were left out. */
  recipients?: string[];
  more?: number;
  /** The next hop's own words or the reason. */
  reply?: string;
  /** The next hop, `host:port`. */
  hop?: string;
  /** For `deferred`: when the next attempt is due, milliseconds since the epoch. */
  retryAt?: number;
}

const MAX_NAMED_RECIPIENTS = 10;

/** Names the recipients of an event within bounds. */
export function named(recipients: string[]): Pick<MessageEvent, 'recipients' | 'more'> {
  const more = recipients.length - MAX_NAMED_RECIPIENTS;
  return more > 0 ? { recipients: recipients.slice(0, MAX_NAMED_RECIPIENTS), more } : { recipients };
}
