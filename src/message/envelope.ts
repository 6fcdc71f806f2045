// What travels beside the bytes of a message: who it is from, who it is for, and how it was sent.
import type { EnvelopeDsn } from './dsn.js';

/** RFC 6152: what the client said of the body's octets. */
export type BodyType = '7BIT' | '8BITMIME';

export interface Envelope {
  /** MAIL FROM as sent, '' for the null sender. */
  from: string;
  /** RCPT TO as sent, in the order of the transaction, each once. */
  to: string[];
  bodyType: BodyType;
  /** RFC 6531: the client asked for SMTPUTF8. */
  smtpUtf8: boolean;
  /** RFC 3461: what the client asked about reports; undefined when it asked nothing. */
  dsn?: EnvelopeDsn;
}

/** A message as the spool keeps it, less its bytes. */
export interface MessageRecord {
  /** The queue id: a UUIDv7 in base64url, 22 characters. */
  id: string;
  envelope: Envelope;
  /** The key that submitted it. */
  keyId: string;
  /** When it was accepted, milliseconds since the epoch. */
  acceptedAt: number;
  /** Octets of the message as it will be relayed, trace headers included. */
  size: number;
  /** The client's address. */
  clientAddress: string;
  /** The Message-ID of the header block, for finding a message by it. */
  messageId: string;
  /** For a report of ours: the message that it reports on. */
  reportOf?: string;
  /** The Subject as it stands in the header block, unfolded and cut to 200 characters. */
  subject: string;
  /** What an API client gave along for its own use: it is kept for events and sent to nobody. */
  categories?: string[];
  customArgs?: Record<string, string>;
  /** When the client wants it sent, milliseconds since the epoch; absent = at once. */
  sendAt?: number;
  /** Under which the client may hold or cancel it until then. */
  batchId?: string;
}
