// What has become of one recipient. A recipient that is not pending is final: it is never tried again.

export type RecipientState = 'pending' | 'delivered' | 'failed' | 'captured' | 'cancelled';

export interface RecipientStatus {
  state: RecipientState;
  /** Attempts that ended for this recipient, so far. */
  attempts: number;
  /** When the state or the reply last changed, milliseconds since the epoch; 0 before the first attempt. */
  at: number;
  /** The next hop's own words, or what went wrong on the way to it; '' before the first attempt. */
  reply: string;
  /** The next hop that said so, `host:port`; '' when none was reached. */
  hop: string;
  /** How often the final reply was not seen, so that a copy may have arrived already. */
  inDoubt: number;
}

export const untried: Readonly<RecipientStatus> = {
  state: 'pending',
  attempts: 0,
  at: 0,
  reply: '',
  hop: '',
  inDoubt: 0,
};

/** What one attempt changed: the recipient's index in the envelope and its new status. */
export interface RecipientChange {
  index: number;
  status: RecipientStatus;
}
