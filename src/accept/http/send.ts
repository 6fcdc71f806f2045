// What both calls that send mail have in common once the request is checked: its messages go through the funnel together.
// Promise: all messages of a request are durable when it is answered with success, or none of them is kept.
import { createHash } from 'node:crypto';
import type { Principal } from '../../authenticate/principal.js';
import { refuse, Refusal } from '../../message/refusal.js';
import { generatedMessageId } from '../../admit/trace.js';
import type { Once } from '../../spool/spool.js';
import type { GroupReceipt, Offer } from '../submission.js';
import { SubmissionAborted } from '../submission.js';
import { faultOfRefusal, RequestFault } from './answers.js';
import { compose } from './compose.js';
import type { HttpDoor } from './door.js';
import { fault, wholeFault } from './fault.js';
import { outgoing, type OutgoingMail, type RequestBody } from './outgoing.js';
import { TooLong } from './substitute.js';

export interface Sender {
  principal: Principal;
  /** The client's address. */
  address: string;
  secure: boolean;
  /** The Idempotency-Key of the request. */
  idempotencyKey?: string;
  /** Of the body. */
  fingerprint: string;
}

export interface Sent {
  /** The queue id of the first message; for a repeated request that of the first request. */
  id: string;
  isRepeat: boolean;
}

/** @throws RequestFault when nothing was sent. */
export async function send(door: HttpDoor, sender: Sender, request: RequestBody): Promise<Sent> {
  const { batch_id: batch } = request;
  if (batch && !(await door.batches.exists(batch))) {
    throw new RequestFault(400, [
      fault('The batch_id is not valid: create one with POST /v3/mail/batch.', ['batch_id']),
    ]);
  }
  const once = onceOf(door, sender);
  const earlier = once && (await door.spool.answerOf(once.key));
  if (earlier) return repeated(earlier, sender);
  const firstId = once?.firstId ?? door.newId();
  const outcome = await door.submitter.submitAll(offers(door, sender, request, firstId), once);
  if (outcome instanceof Refusal) throw faultOfRefusal(outcome);
  if (once && outcome.answer !== once.answer) return repeated(outcome.answer, sender);
  note(door, sender, request, outcome);
  return { id: firstId, isRepeat: false };
}

/** A key of the client's is its own: two API keys may use the same one. */
function onceOf(door: HttpDoor, { principal, idempotencyKey, fingerprint }: Sender): NamedOnce | undefined {
  if (!idempotencyKey) return undefined;
  const key = createHash('sha256').update(`${principal.keyId} ${idempotencyKey}`).digest('base64url');
  const firstId = door.newId();
  return { key, answer: `${firstId}.${fingerprint}`, firstId };
}

type NamedOnce = Once & { firstId: string };

/** @param answer of the first request with the Idempotency-Key. @throws RequestFault when that one was another. */
function repeated(answer: string, { fingerprint }: Sender): Sent {
  const [id, first] = answer.split('.') as [string, string | undefined];
  if (first === fingerprint || first === undefined) return { id, isRepeat: true };
  throw new RequestFault(422, [wholeFault('Idempotency-Key was used with another request in the last 24 hours')]);
}

/** Made one after the other as the funnel asks: no more than one text with its substitutions is in memory. */
function* offers(door: HttpDoor, sender: Sender, request: RequestBody, firstId: string): Generator<Offer> {
  const { principal, address, secure } = sender;
  const { hostname, maxMessageBytes } = door.settings;
  for (const [index, personalization] of request.personalizations.entries()) {
    const id = index === 0 ? firstId : door.newId();
    const mail = bounded(maxMessageBytes, () => outgoing(request, personalization, maxMessageBytes));
    const client = { address, helo: '', protocol: 'HTTP', secure };
    const source = compose(mail, generatedMessageId({ id, hostname }), new Date(door.clock.now()));
    yield { submission: { id, principal, envelope: mail.envelope, client, wishes: mail.wishes }, source };
  }
}

function bounded(limit: number, make: () => OutgoingMail): OutgoingMail {
  try {
    return make();
  } catch (error) {
    throw error instanceof TooLong ? new SubmissionAborted(refuse('too-big', { limit })) : error;
  }
}

/** A line for each message, so that every queue id is in the log; what was not acted on stands in the first. */
function note(door: HttpDoor, { principal, address }: Sender, request: RequestBody, { records }: GroupReceipt): void {
  const { ignored } = request;
  door.metrics.accepted.inc(records.length);
  records.forEach(({ id, envelope, size }, index) => {
    const facts = { id, from: envelope.from, to: envelope.to.length, key: principal.keyId, client: address, size };
    const extra = index === 0 && ignored.length ? { ignored } : {};
    door.log.info({ ...facts, ...(index === 0 ? {} : { request: records[0]!.id }), ...extra }, 'message accepted');
  });
}
