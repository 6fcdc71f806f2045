// The durable queue between accepting and delivering: its promises, apart from how they are kept.
//
//   put      a message is durable before its promise resolves; before that, nobody can claim it
//   claim    leases a message to one worker; the lease carries a fencing token, and only its holder can settle
//   settle   records what became of each recipient and, in the same step, ends the message or names its next try
//   renew    keeps a lease alive; a worker that stops renewing loses its messages to others, who learn that
//            the recipients are in doubt (a copy may be on its way already)
//   setAside takes a message that cannot be read or that kills its worker out of the queue, for a person to look at
//
// Every method throws StoreUnavailable while the store is away and StoreFull while it has no room.
import type { Readable } from 'node:stream';
import type { MessageRecord } from '../message/envelope.js';
import type { MessageEvent } from '../message/event.js';
import type { RecipientChange, RecipientStatus } from '../message/recipient.js';
import type { StoredMessage } from '../message/stored-message.js';

/** A message on its way in. One of `commit` and `abort` must be called. */
export interface SpoolWriter {
  /** Takes octets of the message, in order. Resolves when the writer's memory has room for more. */
  write(chunk: Buffer): Promise<void>;
  /** Octets that it holds in memory. */
  readonly buffered: number;
  /** Makes the message durable and ready for delivery. `record.size` must be what was written. */
  commit(record: MessageRecord): Promise<void>;
  /** Forgets what was written. Never throws. */
  abort(): Promise<void>;
}

export interface Lease {
  record: MessageRecord;
  /** One status a recipient of the envelope, same order. */
  recipients: RecipientStatus[];
  /** How often earlier holders lost the message without saying what became of it. 0: nobody else can have sent it. */
  lostAttempts: number;
  /** When a person last asked for another try, milliseconds since the epoch, or 0. */
  retriedAt: number;
  /** When the sender was told that it is delayed, milliseconds since the epoch, or 0. */
  warnedAt: number;
  /** The octets: a buffer where they are few, a stream where they are many. Each call begins at the beginning. */
  body(): Buffer | Readable;
  /** The first octets, the header block among them. */
  head: Buffer;
  /** Opaque to all but the spool. */
  token: unknown;
}

export interface Settlement {
  recipients: RecipientChange[];
  events: MessageEvent[];
  /** Milliseconds since the epoch of the next attempt; undefined = no recipient is pending, the message is done. */
  retryAt: number | undefined;
  /** Keep the octets of a message that is done (captured mail), within the bounds for such. */
  keepBody: boolean;
  /** The sender is told, in this step, that the message is delayed. */
  warnedAt?: number;
  /** A report to the sender, which becomes durable and ready in the same step. */
  report?: { record: MessageRecord; octets: Buffer };
}

/** One queue of claims; a worker reads from each. */
export interface ClaimSource {
  /**
   * Leases up to `max` messages; waits a while for the first and may answer with none. Messages that cannot be read
   * are set aside on the way and told to `onDamaged`.
   */
  claim(max: number): Promise<Lease[]>;
  /** Ends a wait of `claim` at once. */
  wake(): Promise<void>;
  /** Takes over messages whose holders have been silent for longer than the lease. */
  reclaim(max: number): Promise<Lease[]>;
  /** Moves deferred messages that are due back to the queue. @returns how many. */
  promote(now: number): Promise<number>;
}

export type Damage = { id: string; reason: string };

export interface Spool {
  begin(id: string): SpoolWriter;
  sources(): ClaimSource[];
  /** @returns false when the lease was lost; then nothing was recorded. */
  settle(lease: Lease, settlement: Settlement): Promise<boolean>;
  /** Gives a message back untried. */
  release(lease: Lease): Promise<void>;
  /** @returns the leases that were lost. */
  renew(leases: Lease[]): Promise<Lease[]>;
  setAside(lease: Lease, reason: string): Promise<void>;
}

export type RetryOutcome = 'queued' | 'not-found' | 'under-way' | 'no-body' | 'already-queued';
export type CancelOutcome = 'cancelled' | 'not-found' | 'after-attempt' | 'ended';

export interface SpoolCounts {
  ready: number;
  underWay: number;
  deferred: number;
  setAside: number;
}

/** What people and pages ask of the spool. */
export interface SpoolDesk {
  /** Newest first, `max` at most, accepted at or before `before` (milliseconds since the epoch). */
  list(max: number, before?: number): Promise<StoredMessage[]>;
  find(id: string): Promise<StoredMessage | undefined>;
  body(id: string): Promise<Buffer | undefined>;
  retry(id: string, now: number): Promise<RetryOutcome>;
  cancel(id: string, now: number): Promise<CancelOutcome>;
  counts(): Promise<SpoolCounts>;
}
