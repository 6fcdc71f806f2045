// The one funnel: whatever door a message came through, it ends here. Admit, then spool, then a receipt.
// Promise: a receipt means that the message is durable; a refusal means that nothing of it is kept.
import type { Allowances } from '../admit/allowance.js';
import type { Policy } from '../admit/policy.js';
import type { Authenticator } from '../authenticate/authenticator.js';
import type { Principal } from '../authenticate/principal.js';
import type { Clock } from '../base/clock.js';
import { StoreFull } from '../base/redis.js';
import { parseAddress } from '../message/address.js';
import { refuse, Refusal } from '../message/refusal.js';
import type { Once, Spool, SpoolGroup } from '../spool/spool.js';
import type { Budget } from './budget.js';
import { refusalOfFault } from './fault-refusal.js';
import { Intake, type IntakeSettings } from './intake.js';
import { SubmissionAborted, type GroupReceipt, type Offer, type Receipt, type Submission } from './submission.js';

/** What one message, and what all of a request, may hold in memory while the next is read. */
const MAX_HELD_BYTES = 32_768;
const MAX_HELD_TOGETHER_BYTES = 1_048_576;

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
    const outcome = await this.submitAll([{ submission, source }]);
    return outcome instanceof Refusal ? outcome : { record: outcome.records[0]! };
  }

  /**
   * Takes all messages of one request of one principal, or none: they are read and admitted one after the other, and
   * become durable in one step at the end. Offers are asked for as they are needed; behind a refusal no more are.
   */
  async submitAll(offers: Iterable<Offer>, once?: Once): Promise<GroupReceipt | Refusal> {
    const intakes: Intake[] = [];
    try {
      const group = this.parts.spool.group(once);
      const outcome = (await this.#readAll(offers, group, intakes)) ?? (await this.#commit(group, intakes));
      if (outcome instanceof Refusal) await abortAll(intakes);
      return outcome;
    } catch (error) {
      await abortAll(intakes);
      return this.#refusalOf(error);
    } finally {
      for (const intake of intakes) intake.free();
    }
  }

  async #readAll(offers: Iterable<Offer>, group: SpoolGroup, intakes: Intake[]): Promise<Refusal | undefined> {
    for (const { submission, source } of offers) {
      await makeRoom(intakes);
      const intake = new Intake(this.parts, submission, group.begin(submission.id));
      intakes.push(intake);
      const refusal = await intake.readAll(source, this.#admitEnvelope(submission));
      if (refusal) return refusal;
    }
    return undefined;
  }

  /** For the earliest stage that can know (RFC 1870 6.1); every message is looked at again. */
  room(): Refusal | undefined {
    return this.parts.hasRoom() ? undefined : refuse('storage-full');
  }

  #admitEnvelope({ principal, envelope, client }: Submission): Refusal | undefined {
    const { policy } = this.parts;
    const tooMany = policy.recipientCount(principal, envelope.to.length);
    if (tooMany) return tooMany;
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
  async #commit(group: SpoolGroup, intakes: Intake[]): Promise<GroupReceipt | Refusal> {
    const { authenticator, policy, allowances, clock, onFault } = this.parts;
    const { principal, client } = intakes[0]!.submission;
    const current = await authenticator.recheck(principal, client.address);
    if (current instanceof Refusal) return current;
    const isChanged = current.restrictions !== principal.restrictions;
    const refusal =
      this.room() ??
      firstRefusal(intakes, ({ from }) => policy.fromFields(current, from)) ??
      (isChanged ? firstRefusal(intakes, (intake) => this.#readmit(intake, current)) : undefined);
    const refused = refusal ?? (await allowances.take(current, intakes.length));
    if (refused) return refused;
    const now = clock.now();
    const records = intakes.map((intake) => intake.record(now));
    const answer = await group.commit(records, now).catch(async (error: unknown) => {
      // A full store has certainly kept nothing; of one that is away nobody knows.
      if (error instanceof StoreFull) await allowances.giveBack(current, intakes.length, now).catch(onFault);
      throw error;
    });
    authenticator.noteUse(current, client);
    return { records, answer };
  }

  /** Restrictions that came while the message did hold for it too. */
  #readmit({ submission, received }: Intake, principal: Principal): Refusal | undefined {
    const limit = this.parts.policy.maxBytes(principal);
    return received > limit ? refuse('too-big', { limit }) : this.#admitEnvelope({ ...submission, principal });
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

async function abortAll(intakes: Intake[]): Promise<void> {
  for (const intake of intakes) await intake.abort();
}

/** Gives what messages hold to the store, ahead of the commit: a large one at once, small ones when they are many. */
async function makeRoom(intakes: Intake[]): Promise<void> {
  const together = intakes.reduce((sum, { held }) => sum + held, 0);
  const isTooMuch = together > MAX_HELD_TOGETHER_BYTES;
  const full = intakes.filter(({ held }) => held > (isTooMuch ? 0 : MAX_HELD_BYTES));
  await Promise.all(full.map((intake) => intake.flush()));
}
