// MAIL, RCPT and DATA: one mail transaction after the other on a connection (RFC 5321 3.3). At every step the key is
// looked at again: no command of a transaction is accepted for a key that died since.
import type { Socket } from 'node:net';
import type { SMTPServerDataStream } from 'smtp-server';
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import type { Principal } from '../../authenticate/principal.js';
import { refuse, Refusal } from '../../message/refusal.js';
import type { Envelope } from '../../message/envelope.js';
import { refusalOfFault } from '../fault-refusal.js';
import { SubmissionAborted, type Receipt } from '../submission.js';
import type { SmtpDoor } from './door.js';
import { readMail, readRcpt, type MailCommand } from './parameters.js';
import type { SessionRecorder } from './recorder.js';

/** Octets that a client may send beyond the limit before it is cut off in the middle. */
const OVERRUN = 1_048_576;

/** What a transaction needs of its session. */
export interface TransactionSession {
  readonly door: SmtpDoor;
  readonly principal: Principal | undefined;
  readonly helo: string;
  readonly transcript: SessionRecorder;
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly _closed: boolean;
  readonly _socket: Socket;
  readonly _parser: SMTPStream | false;
  _dataStream: SMTPServerDataStream | false | null;
  protocol(smtpUtf8: boolean): string;
  reply(code: number, enhanced: string, text: string): void;
  refuse(refusal: Refusal, facts?: Record<string, unknown>): void;
  /** Whether it began with EHLO: only then may commands have parameters. */
  readonly extended: boolean;
  startTransaction(): void;
  startData(): void;
  endTransaction(): void;
  endData(accepted: boolean): void;
}

export class Transaction {
  #envelope: Envelope | undefined;
  /** The recipients of #envelope, to tell quickly whether one was given before. */
  #named = new Set<string>();
  #messages = 0;
  #committing = false;

  constructor(private readonly session: TransactionSession) {}

  /** Whether MAIL was accepted and the transaction has not ended. */
  get isOpen(): boolean {
    return this.#envelope !== undefined;
  }

  /** Whether the whole message has come and its fate is being decided: nothing may cut the connection now. */
  get isCommitting(): boolean {
    return this.#committing;
  }

  reset(): void {
    this.#envelope = undefined;
    this.session.endTransaction();
  }

  async mail(line: string): Promise<void> {
    const { session } = this;
    const principal = await this.#principal();
    if (principal instanceof Refusal) return session.refuse(principal);
    if (this.#envelope) return session.refuse(refuse('nested-mail'));
    const limit = session.door.settings.maxMessagesPerConnection;
    if (this.#messages >= limit) return session.refuse(refuse('too-many-messages', { limit }));
    const mail = readMail(line, session.extended);
    const refusal = mail instanceof Refusal ? mail : await this.#admitMail(principal, mail);
    if (refusal || mail instanceof Refusal) return session.refuse(refusal!);
    this.#named = new Set();
    this.#envelope = envelopeOf(mail);
    session.startTransaction();
    session.reply(250, '2.1.0', 'Ok');
  }

  async rcpt(line: string): Promise<void> {
    const { session } = this;
    const principal = await this.#principal();
    if (principal instanceof Refusal) return session.refuse(principal);
    const envelope = this.#envelope;
    if (!envelope) return session.refuse(refuse('mail-first'));
    const rcpt = readRcpt(line, envelope.smtpUtf8, session.extended);
    if (rcpt instanceof Refusal) return session.refuse(rcpt);
    const { address, dsn } = rcpt;
    const refusal = session.door.policy.recipient(principal, address);
    if (refusal) return session.refuse(refusal);
    if (!this.#named.has(address.text)) {
      const tooMany = session.door.policy.recipientCount(principal, envelope.to.length + 1);
      if (tooMany) return session.refuse(tooMany);
      this.#named.add(address.text);
      if (dsn.notify || dsn.orcpt) (envelope.dsn ??= { recipients: {} }).recipients[envelope.to.length] = dsn;
      envelope.to.push(address.text);
    }
    session.reply(250, '2.1.5', 'Ok');
  }

  async data(): Promise<void> {
    const { session } = this;
    const principal = await this.#principal();
    if (principal instanceof Refusal) return session.refuse(principal);
    const envelope = this.#envelope;
    if (!envelope) return session.refuse(refuse('mail-first'));
    if (envelope.to.length === 0) return session.refuse(refuse('recipient-first'));
    if (!session._parser) return;
    const stream = session._parser.startDataMode(session.door.policy.maxBytes(principal));
    session._dataStream = stream;
    session.startData();
    void this.#receive(stream, principal, envelope);
    session.reply(354, '', 'End data with <CR><LF>.<CR><LF>');
  }

  async #receive(stream: SMTPServerDataStream, principal: Principal, envelope: Envelope): Promise<void> {
    const { session } = this;
    const { door } = session;
    const id = door.newId();
    const client = {
      ...{ address: session.remoteAddress, helo: session.helo, secure: session.secure },
      protocol: session.protocol(envelope.smtpUtf8),
    };
    const outcome = await door.submitter.submit({ id, principal, envelope, client }, this.#octets(stream, principal));
    this.#committing = false;
    const facts = { id, from: envelope.from, to: envelope.to.length };
    if (outcome instanceof Refusal) session.refuse(outcome, facts);
    else this.#accepted(outcome, principal, facts);
    if (session._closed) return;
    this.#end();
    session.endData(!(outcome instanceof Refusal));
    if (session._parser) session._parser.continue();
  }

  /** The line for the operator comes also when the client has gone before it could be told. */
  #accepted({ record }: Receipt, { keyId }: Principal, facts: { id: string }): void {
    const { session } = this;
    session.door.metrics.accepted.inc();
    const told = session._closed ? { clientGone: true } : {};
    session.door.log.info(
      { ...facts, key: keyId, client: session.remoteAddress, size: record.size, ...told },
      'message accepted',
    );
    session.reply(250, '2.6.0', `Ok: queued as ${facts.id}`);
  }

  /** The message's octets. A client that never stops is cut off; one that leaves leaves nothing behind. */
  async *#octets(stream: SMTPServerDataStream, principal: Principal): AsyncGenerator<Buffer> {
    const tooBig = refuse('too-big', { limit: this.session.door.policy.maxBytes(principal) });
    let left = Number(tooBig.details.limit) + OVERRUN;
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        left -= chunk.length;
        if (left < 0) break;
        yield chunk;
      }
    } catch {
      throw new SubmissionAborted(refuse('client-gone'));
    }
    this.#committing = true;
    this.session.transcript.data(Number(tooBig.details.limit) + OVERRUN - left);
    if (left >= 0) return;
    this.session.refuse(tooBig);
    this.session._socket.destroySoon();
    throw new SubmissionAborted(tooBig);
  }

  #end(): void {
    this.#messages++;
    this.reset();
    this.session._dataStream = false;
  }

  async #admitMail(principal: Principal, { address, size }: MailCommand): Promise<Refusal | undefined> {
    const { policy, allowances, submitter } = this.session.door;
    const tooBig = policy.size(principal, size);
    if (tooBig) return tooBig;
    try {
      return (
        submitter.room() ??
        policy.connection(principal, this.session.secure) ??
        policy.sender(principal, address) ??
        (await allowances.look(principal))
      );
    } catch (error) {
      return refusalOfFault(error);
    }
  }

  /** The session's principal as it stands now. */
  #principal(): Refusal | Principal | Promise<Refusal | Principal> {
    const { principal, helo, door, remoteAddress } = this.session;
    if (!helo) return refuse('hello-first');
    if (!principal) return refuse('auth-required');
    return door.authenticator.recheck(principal, remoteAddress);
  }
}

function envelopeOf({ address, bodyType, smtpUtf8, ret, envid }: MailCommand): Envelope {
  const dsn = { ...(ret && { ret }), ...(envid && { envid }), recipients: {} };
  return { from: address?.text ?? '', to: [], bodyType, smtpUtf8, ...((ret ?? envid) ? { dsn } : {}) };
}
