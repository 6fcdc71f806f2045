// The one funnel: whatever door a message came through, it ends here. Admit, then spool, then a receipt.
// Promise: a receipt means that the message is durable; a refusal means that nothing of it is kept.
import type { Allowances } from '../admit/allowance.js';
import type { Policy } from '../admit/policy.js';
import type { Authenticator } from '../authenticate/authenticator.js';
import type { Clock } from '../base/clock.js';
import { parseAddress } from '../message/address.js';
import type { MessageRecord } from '../message/envelope.js';
import { refuse, Refusal } from '../message/refusal.js';
import type { Spool } from '../spool/spool.js';
import type { Budget } from './budget.js';
import { refusalOfFault } from './fault-refusal.js';
import { Intake, type IntakeSettings } from './intake.js';
import { SubmissionAborted, type Receipt, type Submission } from './submission.js';

export interface SubmitterParts {
  authenticator: Authenticator;
  policy: Policy;
  allowances: Allowances;
  spool: Spool;
  budget: Budget;
  /** Whether the store has room for more mail, as far as can be told without asking it. */
  hasRoom: () => boolean;
  clock: Clock;
  settings: IntakeSettings & { hostname: string };
  /** Told of faults that a client sees only as temporary. */
  onFault: (error: unknown) => void;
}

export class Submitter {
  constructor(private readonly parts: SubmitterParts) {}

  /** Takes all of `source`, also when it refuses early: the caller need not drain it. */
  async submit(submission: Submission, source: AsyncIterable<Buffer>): Promise<Receipt | Refusal> {
    const intake = new Intake(this.parts, submission);
    let outcome: Receipt | Refusal | undefined;
    try {
      outcome = await intake.readAll(source, this.#admitEnvelope(submission));
      outcome ??= await this.#commit(submission, intake);
    } catch (error) {
      outcome = this.#refusalOf(error);
    }
    if (outcome instanceof Refusal) await intake.abort();
    intake.free();
    return outcome;
  }

  /** For the earliest stage that can know (RFC 1870 6.1); every message is looked at again. */
  room(): Refusal | undefined {
    return this.parts.hasRoom() ? undefined : refuse('storage-full');
  }

  #admitEnvelope({ principal, envelope, client }: Submission): Refusal | undefined {
    const { policy } = this.parts;
    const limit = policy.maxRecipients(principal);
    if (envelope.to.length > limit) return refuse('too-many-recipients', { limit });
    const sender = envelope.from === '' ? undefined : parseAddress(envelope.from, envelope.smtpUtf8);
    if (sender && !sender.ok) return refuse('bad-sender-syntax');
    const recipients = envelope.to.map((text) => parseAddress(text, envelope.smtpUtf8));
    return (
      this.room() ??
      policy.connection(principal, client.secure) ??
      policy.sender(principal, sender?.address) ??
      firstRefusal(recipients, (verdict) =>
        verdict.ok ? policy.recipient(principal, verdict.address) : refuse('bad-recipient-syntax'),
      )
    );
  }

  /** The last word on the key and on its limits, then durability. */
  async #commit({ id, principal, envelope, client }: Submission, intake: Intake): Promise<Receipt | Refusal> {
    const { authenticator, policy, allowances, clock } = this.parts;
    const current = await authenticator.recheck(principal, client.address);
    if (current instanceof Refusal) return current;
    const refusal = this.room() ?? policy.fromFields(current, intake.from) ?? (await allowances.take(current));
    if (refusal) return refusal;
    const { messageId, subject, size } = intake;
    const record: MessageRecord = {
      ...{ id, envelope, keyId: principal.keyId, acceptedAt: clock.now(), size },
      ...{ clientAddress: client.address, messageId, subject },
    };
    await intake.commit(record);
    authenticator.noteUse(principal, client.address);
    return { record };
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof SubmissionAborted) return error.refusal;
    this.parts.onFault(error);
    return refusalOfFault(error);
  }
}

function firstRefusal<T>(items: T[], check: (item: T) => Refusal | undefined): Refusal | undefined {
  for (const item of items) {
    const refusal = check(item);
    if (refusal) return refusal;
  }
  return undefined;
}
