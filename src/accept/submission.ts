// What comes to the funnel, and the receipt that comes out of it.
import type { Principal } from '../authenticate/principal.js';
import type { Envelope, MessageRecord } from '../message/envelope.js';
import type { Refusal } from '../message/refusal.js';

export interface Submission {
  /** The queue id that the message will have. */
  id: string;
  principal: Principal;
  envelope: Envelope;
  client: Client;
  /** What an API client gave along; nothing over SMTP. */
  wishes?: Pick<MessageRecord, 'categories' | 'customArgs' | 'sendAt' | 'batchId'>;
}

/** A message that is offered to the funnel. */
export interface Offer {
  submission: Submission;
  source: AsyncIterable<Buffer>;
}

export interface Client {
  address: string;
  /** What it called itself; '' over HTTP. */
  helo: string;
  /** For the Received field: ESMTPSA, UTF8SMTPSA, HTTP, ... */
  protocol: string;
  secure: boolean;
}

export interface Receipt {
  record: MessageRecord;
}

/** All messages of one request. */
export interface GroupReceipt {
  records: MessageRecord[];
  /** What the client is told: of a repeated request, what the first one was told. */
  answer: string;
}

/** Thrown by a source that will never end well: the client is gone, or is cut off. */
export class SubmissionAborted extends Error {
  override readonly name = 'SubmissionAborted';

  constructor(readonly refusal: Refusal) {
    super(refusal.text);
  }
}
