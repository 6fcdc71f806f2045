// The octets of one message on their way into the spool: line ends made right, size counted, the header block read
// and rewritten, memory accounted for. Promise: bounded memory whatever the client sends, and after a refusal the
// rest of the message is read and thrown away, so that the reply comes where the protocol wants it.
import type { Policy } from '../admit/policy.js';
import { Octets } from '../base/octets.js';
import { refuse, Refusal } from '../message/refusal.js';
import { endOfHeader, LONGEST_NAME } from '../message/header-block.js';
import type { MessageRecord } from '../message/envelope.js';
import type { SpoolWriter } from '../spool/spool.js';
import type { Clock } from '../base/clock.js';
import type { Budget } from './budget.js';
import { readHeader } from './header-intake.js';
import { Newlines } from './newlines.js';
import type { Submission } from './submission.js';

export interface IntakeSettings {
  bareNewlines: 'normalize' | 'refuse';
  maxHeaderBytes: number;
}

interface IntakeParts {
  policy: Policy;
  budget: Budget;
  clock: Clock;
  settings: IntakeSettings & { hostname: string };
}

export class Intake {
  readonly #newlines: Newlines;
  readonly #maxBytes: number;
  /** The octets so far, until the header block is complete. */
  #head: Octets | undefined = new Octets();
  #held = 0;
  /** Octets with line ends made right. */
  #normalized = 0;
  /** Octets as the client sent them. */
  received = 0;
  size = 0;
  from: string[] = [];
  messageId = '';
  subject = '';

  constructor(
    private readonly parts: IntakeParts,
    readonly submission: Submission,
    private readonly writer: SpoolWriter,
  ) {
    this.#newlines = new Newlines(parts.settings.bareNewlines);
    this.#maxBytes = parts.policy.maxBytes(submission.principal);
  }

  /** Reads `source` to its end, keeping nothing once there is a refusal. @throws StoreUnavailable */
  async readAll(source: AsyncIterable<Buffer>, refused: Refusal | undefined): Promise<Refusal | undefined> {
    let refusal = refused;
    for await (const chunk of source) {
      refusal ??= await this.#take(chunk);
      if (refusal && this.#held > 0) await this.abort();
    }
    return refusal ?? (await this.#finish());
  }

  /** The message as the spool is to keep it. */
  record(acceptedAt: number): MessageRecord {
    const { id, envelope, principal, client, wishes } = this.submission;
    const { messageId, subject, size } = this;
    return {
      ...{ id, envelope, keyId: principal.keyId, acceptedAt, size },
      ...{ clientAddress: client.address, messageId, subject, ...wishes },
    };
  }

  /** Gives what it holds to the store, so that other messages of the request have room. */
  async flush(): Promise<void> {
    await this.writer.flush();
    this.#account();
  }

  async abort(): Promise<void> {
    this.#head = undefined;
    await this.writer.abort();
    this.free();
  }

  /** Octets that it has of the budget. */
  get held(): number {
    return this.#held;
  }

  /** Gives its memory back to the budget. */
  free(): void {
    this.parts.budget.move(this.#held, 0);
    this.#held = 0;
  }

  async #take(chunk: Buffer): Promise<Refusal | undefined> {
    this.received += chunk.length;
    if (this.received > this.#maxBytes) return refuse('too-big', { limit: this.#maxBytes });
    const octets = this.#newlines.push(chunk);
    if (octets instanceof Refusal) return octets;
    // Bare newlines become two octets: so long as the limit must be what is kept.
    this.#normalized += octets.length;
    if (this.#normalized > this.#maxBytes) return refuse('too-big', { limit: this.#maxBytes });
    return this.#store(octets);
  }

  async #finish(): Promise<Refusal | undefined> {
    const octets = this.#newlines.end();
    if (octets instanceof Refusal) return octets;
    return (await this.#store(octets)) ?? (this.#head ? this.#endHeader() : undefined);
  }

  async #store(octets: Buffer): Promise<Refusal | undefined> {
    if (!this.#head) return this.#write(octets);
    const searched = this.#head.length;
    this.#head.append(octets);
    if (!this.#account()) return refuse('storage-full');
    const head = this.#head.view();
    if (endOfHeader(head, searched) >= 0) return this.#endHeader();
    // A line that is no field ends the header block too: then what follows is body, however long. So much is needed to
    // tell it from a field whose colon has not come yet.
    return head.length > this.parts.settings.maxHeaderBytes + LONGEST_NAME + 1 ? this.#endHeader() : undefined;
  }

  async #endHeader(): Promise<Refusal | undefined> {
    const head = this.#head!.take();
    this.#head = undefined;
    const { id, client } = this.submission;
    const { hostname, maxHeaderBytes } = this.parts.settings;
    const at = new Date(this.parts.clock.now());
    const facts = { id, hostname, clientAddress: client.address, helo: client.helo, protocol: client.protocol, at };
    const header = readHeader(head, facts, maxHeaderBytes);
    if (header instanceof Refusal) return header;
    this.from = header.from;
    this.messageId = header.messageId;
    this.subject = header.subject;
    return this.parts.policy.fromFields(this.submission.principal, header.from) ?? this.#write(header.octets);
  }

  async #write(octets: Buffer): Promise<Refusal | undefined> {
    this.size += octets.length;
    const stored = this.writer.write(octets);
    const room = this.#account();
    await stored;
    this.#account();
    return room ? undefined : refuse('storage-full');
  }

  #account(): boolean {
    const holds = (this.#head?.length ?? 0) + this.writer.buffered;
    if (!this.parts.budget.move(this.#held, holds)) return false;
    this.#held = holds;
    return true;
  }
}
