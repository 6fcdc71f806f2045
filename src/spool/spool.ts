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
  /** Gives what it holds in memory to the store, ahead of the commit. */
  flush(): Promise<void>;
  /**
   * Makes the message durable, and ready for delivery at once or at `record.sendAt`. `record.size` must be what was
   * written.
   */
  commit(record: MessageRecord): Promise<void>;
  /** Forgets what was written. Never throws. */
  abort(): Promise<void>;
}

/** What makes a request recognisable when it is repeated, and the answer that all repeats get. */
export interface Once {
  key: string;
  answer: string;
}

/** Messages that become durable in one step: all of them, or none. */
export interface SpoolGroup {
  begin(id: string): SpoolWriter;
  /**
   * The records of all messages that were begun, in the same order. `commit` and `abort` of their writers are not used.
   * @returns the group's own answer, or that of an earlier group with the same key: then nothing of this one is kept.
   */
  commit(records: MessageRecord[], now: number): Promise<string>;
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
  /** Gives back what was claimed and not returned by `claim`; nothing is claimed any more. */
  close(): Promise<void>;
  /** Moves deferred messages that are due back to the queue, and forgets what ended too long ago. @returns how many moved. */
  promote(now: number): Promise<number>;
}

export type Damage = { id: string; reason: string };

export interface Spool {
  begin(id: string): SpoolWriter;
  group(once?: Once): SpoolGroup;
  /** The answer of the group that was committed with this key, if there was one within a day. */
  answerOf(onceKey: string): Promise<string | undefined>;
  sources(): ClaimSource[];
  /** @returns false when the lease was lost; then nothing was recorded. */
  settle(lease: Lease, settlement: Settlement): Promise<boolean>;
  /** Gives a message back untried. */
  release(lease: Lease): Promise<void>;
  /** @returns the leases that were lost. */
  renew(leases: Lease[]): Promise<Lease[]>;
  setAside(lease: Lease, reason: string): Promise<void>;
}

export type BatchStatus = 'pause' | 'cancel';

/** Scheduled messages that were put with the same `batchId`, held or dropped together. */
export interface SpoolBatches {
  /** A new batch id. It is good for ten days. */
  create(): Promise<string>;
  exists(id: string): Promise<boolean>;
  /** Batches that are paused or cancelled. */
  list(): Promise<{ id: string; status: BatchStatus }[]>;
  statusOf(id: string): Promise<BatchStatus | undefined>;
  /** Pauses or cancels what is not under way yet; undefined lets it go again. */
  setStatus(id: string, status: BatchStatus | undefined, now: number): Promise<void>;
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
