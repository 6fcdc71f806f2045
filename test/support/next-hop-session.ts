// One connection to the fake next hop, read and answered in order, in the manner of a strict server: it takes only
// what RFC 5321 allows at that point, asks the test's script before every answer, and keeps what it was sent.
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { decide, isPositive, type HopEvent, type Script, type Stage, type Verdict } from './next-hop-script.js';
import { NextHopWire } from './next-hop-wire.js';

export interface Message {
  mailFrom: string;
  /** What follows the > of MAIL FROM: `BODY=8BITMIME SIZE=123`. */
  mailParams: string;
  recipients: string[];
  /** One for every recipient, in the same order. */
  rcptParams: string[];
  /** Without dot-stuffing and without the final dot, otherwise byte for byte. */
  data: Buffer;
  session: number;
  authUser: string | undefined;
  tls: boolean;
  /** What it was answered with; undefined when the script hung or dropped instead. */
  reply: string | undefined;
}

/** What a session needs of the server it belongs to. */
export interface Hop {
  extensions: readonly string[];
  tls: SecureContext | undefined;
  implicitTls: boolean;
  auth: { user: string; pass: string } | undefined;
  script: Script;
  messageNumber: number;
  record(message: Message): void;
}

const PATH = /^(?:MAIL FROM|RCPT TO):<((?:"(?:\\.|[^"\\])*"|[^">])*)>(?: (.*))?$/i;

export class NextHopSession {
  readonly #wire: NextHopWire;
  #greeted = false;
  #authUser: string | undefined;
  #transaction: Pick<Message, 'mailFrom' | 'mailParams' | 'recipients' | 'rcptParams'> | undefined;
  #messageInSession = 0;

  constructor(
    socket: Socket,
    private readonly number: number,
    private readonly hop: Hop,
  ) {
    this.#wire = new NextHopWire(socket);
  }

  /** Resolves when the session is over, for whatever reason; rejects only when the script throws. */
  async run(): Promise<void> {
    if (this.hop.implicitTls && this.hop.tls) this.#wire.encrypt(this.hop.tls);
    this.#wire.send(await this.#decide('connect', '', '220 next-hop.test ESMTP'));
    while (!this.#wire.over) {
      const line = await this.#wire.line();
      if (line !== undefined) await this.#command(line);
    }
  }

  async #command(line: string): Promise<void> {
    switch (line.split(' ', 1)[0]?.toUpperCase()) {
      case 'EHLO':
      case 'HELO':
        return this.#hello(line);
      case 'STARTTLS':
        return this.#startTls(line);
      case 'AUTH':
        return this.#authenticate(line);
      case 'MAIL':
        return this.#mail(line);
      case 'RCPT':
        return this.#rcpt(line);
      case 'DATA':
        return this.#data(line);
      case 'RSET':
        this.#transaction = undefined;
        return this.#wire.say('250 2.0.0 reset');
      case 'NOOP':
        return this.#wire.say('250 2.0.0 ok');
      case 'QUIT':
        return this.#quit(line);
      default:
        return this.#wire.say('500 5.5.2 unknown command');
    }
  }

  async #hello(line: string): Promise<void> {
    const verdict = await this.#decide('ehlo', line, /^EHLO/i.test(line) ? this.#ehloReply() : '250 next-hop.test');
    if (isPositive(verdict)) {
      this.#greeted = true;
      this.#transaction = undefined;
    }
    this.#wire.send(verdict);
  }

  #ehloReply(): string {
    const lines = ['next-hop.test', ...this.hop.extensions];
    if (this.hop.tls && !this.#wire.encrypted) lines.push('STARTTLS');
    if (this.hop.auth) lines.push('AUTH PLAIN LOGIN');
    return lines.map((text, index) => `250${index < lines.length - 1 ? '-' : ' '}${text}`).join('\n');
  }

  async #startTls(line: string): Promise<void> {
    if (!this.hop.tls || this.#wire.encrypted) return this.#wire.say('502 5.5.1 no STARTTLS here');
    const verdict = await this.#decide('starttls', line, '220 2.0.0 go ahead');
    this.#wire.send(verdict);
    if (!isPositive(verdict) || this.#wire.over) return;
    this.#wire.encrypt(this.hop.tls);
    this.#greeted = false;
  }

  async #authenticate(line: string): Promise<void> {
    const wanted = this.hop.auth;
    if (!wanted || this.#authUser !== undefined) return this.#wire.say('503 5.5.1 no AUTH here');
    const given = await this.#credentials(line);
    if (given === undefined) return this.#wire.say('501 5.5.4 that is not AUTH PLAIN or LOGIN');
    const right = given.user === wanted.user && given.pass === wanted.pass;
    const verdict = await this.#decide('auth', line, right ? '235 2.7.0 welcome' : '535 5.7.8 bad credentials');
    if (isPositive(verdict)) this.#authUser = given.user;
    this.#wire.send(verdict);
  }

  /** RFC 4616 PLAIN, and LOGIN as everybody does it; each with or without an initial response. */
  async #credentials(line: string): Promise<{ user: string; pass: string } | undefined> {
    const [, mechanism = '', initial] = line.split(' ');
    if (/^PLAIN$/i.test(mechanism)) {
      const [, user, pass] = decode(initial ?? (await this.#challenge(''))).split('\0');
      return user === undefined || pass === undefined ? undefined : { user, pass };
    }
    if (!/^LOGIN$/i.test(mechanism)) return undefined;
    const user = decode(initial ?? (await this.#challenge('VXNlcm5hbWU6')));
    return { user, pass: decode(await this.#challenge('UGFzc3dvcmQ6')) };
  }

  async #challenge(text: string): Promise<string> {
    this.#wire.say(`334 ${text}`);
    return (await this.#wire.line()) ?? '';
  }

  async #mail(line: string): Promise<void> {
    const [, mailFrom, mailParams = ''] = PATH.exec(line) ?? [];
    if (mailFrom === undefined) return this.#wire.say('501 5.5.4 MAIL FROM:<address>');
    if (!this.#greeted || this.#transaction) return this.#wire.say('503 5.5.1 not now');
    if (this.hop.auth && this.#authUser === undefined) return this.#wire.say('530 5.7.0 authentication required');
    this.hop.messageNumber++;
    this.#messageInSession++;
    const verdict = await this.#decide('mail', line, '250 2.1.0 sender ok', { mailFrom });
    if (isPositive(verdict)) this.#transaction = { mailFrom, mailParams, recipients: [], rcptParams: [] };
    this.#wire.send(verdict);
  }

  async #rcpt(line: string): Promise<void> {
    const [, recipient, params = ''] = PATH.exec(line) ?? [];
    if (recipient === undefined) return this.#wire.say('501 5.5.4 RCPT TO:<address>');
    if (!this.#transaction) return this.#wire.say('503 5.5.1 MAIL first');
    const verdict = await this.#decide('rcpt', line, '250 2.1.5 recipient ok', { recipient });
    if (isPositive(verdict)) {
      this.#transaction.recipients.push(recipient);
      this.#transaction.rcptParams.push(params);
    }
    this.#wire.send(verdict);
  }

  async #data(line: string): Promise<void> {
    const transaction = this.#transaction;
    if (!transaction?.recipients.length) return this.#wire.say('503 5.5.1 no valid recipients');
    const opening = await this.#decide('data', line, '354 go ahead');
    this.#wire.send(opening);
    if (!opening.reply?.startsWith('354')) return;
    const data = await this.#wire.message();
    if (data === undefined) return;
    const verdict = await this.#decide('message', '', '250 2.0.0 message ok', { data });
    const from = { session: this.number, authUser: this.#authUser, tls: this.#wire.encrypted };
    this.hop.record({ ...transaction, data, ...from, reply: verdict.reply });
    this.#transaction = undefined;
    this.#wire.send(verdict);
  }

  async #quit(line: string): Promise<void> {
    const { reply, then } = await this.#decide('quit', line, '221 2.0.0 bye');
    this.#wire.send({ reply, then: then === 'hang' ? 'hang' : 'drop' });
  }

  #decide(stage: Stage, line: string, usual: string, details: Partial<HopEvent> = {}): Promise<Verdict> {
    const event = {
      stage,
      line,
      session: this.number,
      mailFrom: this.#transaction?.mailFrom,
      recipient: undefined,
      recipients: [...(this.#transaction?.recipients ?? [])],
      messageNumber: this.hop.messageNumber,
      messageInSession: this.#messageInSession,
      data: undefined,
      tls: this.#wire.encrypted,
      ...details,
    };
    return decide(this.hop.script, event, usual);
  }
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString();
}
