// One SMTP connection to a next hop, used for one message after the other. nodemailer's SMTPConnection speaks the
// protocol; the envelope goes out exactly as it was admitted, the octets exactly as they are stored.
import { Readable } from 'node:stream';
import { within } from '../base/deadline.js';
import { messageOf } from '../base/fault.js';
import type { NextHop } from './next-hop.js';
import { OutgoingConnection } from './outgoing-connection.js';

export interface HopTimeouts {
  connectTimeoutSeconds: number;
  replyTimeoutSeconds: number;
  transactionTimeoutSeconds: number;
}

/** What a transaction came to: the replies to recipients that were refused, and for the others a reply or a fault. */
export interface SendResult {
  refused: Map<string, string>;
  rest: { response: string } | { fault: HopFault };
  /** The next hop offers DSN, and so was told what the sender asked. */
  reportsPassedOn: boolean;
}

export interface OutgoingMessage {
  from: string;
  to: string[];
  body: Buffer | Readable;
  size: number;
  is8Bit: boolean;
  dsn: OutgoingDsn | undefined;
}

/** What the sender asked about reports (RFC 3461), for a next hop that offers DSN. */
export interface OutgoingDsn {
  ret: 'FULL' | 'HDRS' | undefined;
  /** Decoded. */
  envid: string | undefined;
  /** By address, with a leading space. */
  rcptArguments: ReadonlyMap<string, string>;
}

/** Something that kept a message from passing. `response` is the next hop's own words where it said any. */
export class HopFault extends Error {
  override readonly name = 'HopFault';

  constructor(
    message: string,
    readonly details: {
      response: string | undefined;
      /** All octets and the final dot were handed to the connection, and no reply to them was seen. */
      inDoubt: boolean;
      /** The message can never pass here: it is too large, or its address needs what the next hop lacks. */
      unfit: string | undefined;
    },
  ) {
    super(message);
  }
}

interface LibraryError extends Error {
  code?: string;
  response?: string;
}

export class HopConnection {
  readonly #smtp: OutgoingConnection;
  #failed: ((error: LibraryError) => void) | undefined;
  sent = 0;

  private constructor(
    readonly hop: NextHop,
    hostname: string,
    private readonly timeouts: HopTimeouts,
    private readonly onEnd: (connection: HopConnection) => void,
  ) {
    this.#smtp = new OutgoingConnection({
      ...{ host: hop.host, port: hop.port, secure: hop.implicitTls, name: hop.name ?? hostname },
      requireTLS: hop.tls === 'required' || (hop.tls === 'insecure' && !hop.implicitTls),
      ignoreTLS: hop.tls === 'none',
      tls: { rejectUnauthorized: hop.tls !== 'insecure', minVersion: 'TLSv1.2' },
      connectionTimeout: timeouts.connectTimeoutSeconds * 1000,
      greetingTimeout: timeouts.connectTimeoutSeconds * 1000,
      dnsTimeout: timeouts.connectTimeoutSeconds * 1000,
      socketTimeout: timeouts.replyTimeoutSeconds * 1000,
      allowInternalNetworkInterfaces: true,
    });
    this.#smtp.on('error', (error: LibraryError) => this.#failed?.(error));
    this.#smtp.on('end', () => this.onEnd(this));
  }

  /** Connects, and logs in where the next hop wants it. @throws HopFault: nothing of a message was sent */
  static async open(hop: NextHop, hostname: string, timeouts: HopTimeouts, onEnd: (connection: HopConnection) => void) {
    const connection = new HopConnection(hop, hostname, timeouts, onEnd);
    try {
      await within(timeouts.connectTimeoutSeconds * 1000, 'connecting, with TLS and login,', connection.#enter(hop));
    } catch (error) {
      connection.close();
      const { message, response } = error as LibraryError;
      throw new HopFault(message, { response, inDoubt: false, unfit: undefined });
    }
    return connection;
  }

  async #enter(hop: NextHop): Promise<void> {
    await this.#call((done) => this.#smtp.connect(done));
    if (!hop.login) return;
    const { user, pass } = hop.login;
    await this.#call((done) => this.#smtp.login({ user, pass, credentials: { user, pass } }, done));
  }

  get isOpen(): boolean {
    return !this.#smtp.destroyed;
  }

  close(): void {
    this.#smtp.close();
  }

  quit(): void {
    if (this.isOpen) this.#smtp.quit();
  }

  /** One transaction. Never throws; after a fault the connection may be closed. */
  async send(message: OutgoingMessage): Promise<SendResult> {
    const unfit = this.#unfit(message);
    if (unfit) {
      const fault = new HopFault(unfit, { response: undefined, inDoubt: false, unfit });
      return { refused: new Map(), rest: { fault }, reportsPassedOn: false };
    }
    this.sent++;
    const body = new WatchedBody(message.body, (error) => this.#failed?.(error));
    const { from, to, size, is8Bit, dsn } = message;
    this.#smtp.rcptArguments = dsn?.rcptArguments;
    this.#smtp.wholeBody = Buffer.isBuffer(message.body) ? message.body : undefined;
    const envelope = { from, to, size, use8BitMime: is8Bit, ...(dsn && { dsn: { ret: dsn.ret, envid: dsn.envid } }) };
    const reportsPassedOn = this.#offers('DSN');
    try {
      const sent = this.#call<{ response: string }>((done) => this.#smtp.send(envelope, body.source, done));
      const { response } = await within(this.timeouts.transactionTimeoutSeconds * 1000, 'the transaction', sent);
      return { refused: this.#refused(), rest: { response }, reportsPassedOn };
    } catch (error) {
      const fault = faultOf(error as LibraryError, body.handedOver);
      const refused = this.#refused();
      await this.#recover(fault);
      return { refused, rest: { fault }, reportsPassedOn };
    }
  }

  /** After a reply that ended a transaction early the connection is good for another; after anything else it is not. */
  async #recover(fault: HopFault): Promise<void> {
    if (!this.isOpen) return;
    if (fault.details.response === undefined) return this.close();
    await this.#call((done) => this.#smtp.reset(done)).catch(() => this.close());
  }

  #refused(): Map<string, string> {
    const { rejectedErrors = [], mailError } = (this.#smtp as unknown as Internals)._envelope || {};
    // Behind a refused MAIL every pipelined RCPT is refused too (503): those words are not about the recipient.
    if (mailError) return new Map();
    return new Map(rejectedErrors.map(({ recipient, response }) => [recipient, response ?? '']));
  }

  #offers(extension: string): boolean {
    return (this.#smtp as unknown as Internals)._supportedExtensions.includes(extension);
  }

  #unfit({ from, to, size }: OutgoingMessage): string | undefined {
    const { _maxAllowedSize: maxSize } = this.#smtp as unknown as Internals;
    if (maxSize && size > maxSize) return `552 5.3.4 the next hop takes at most ${maxSize} octets`;
    const needsUtf8 = [from, ...to].some((address) => /[\u0080-\uFFFF]/.test(address));
    return needsUtf8 && !this.#offers('SMTPUTF8') ? '553 5.6.7 the next hop does not offer SMTPUTF8' : undefined;
  }

  /** A callback of the library as a promise that also ends when the connection does. */
  #call<T = void>(start: (done: (error?: unknown, value?: unknown) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = (error?: unknown, value?: unknown): void => {
        this.#failed = undefined;
        if (error) reject(error instanceof Error ? error : new Error(messageOf(error)));
        else resolve(value as T);
      };
      this.#failed = settle;
      start(settle);
    });
  }
}

/** Private members of nodemailer's connection: what EHLO offered, and the replies to each recipient, which its errors
 * leave out. test/deliver guards an upgrade. */
interface Internals {
  _supportedExtensions: string[];
  _maxAllowedSize: number;
  _envelope: { rejectedErrors?: { recipient: string; response?: string }[]; mailError?: Error } | false;
}

function faultOf(error: LibraryError, handedOver: boolean): HopFault {
  const response = error.response !== undefined && /^\d{3}/.test(error.response) ? error.response : undefined;
  return new HopFault(error.response ?? error.message, {
    response,
    inDoubt: handedOver && response === undefined,
    unfit: undefined,
  });
}

/**
 * A body that tells whether its octets were handed over: from then on a lost connection leaves doubt. One that cannot be
 * read to its end, because the store is away, ends the transaction: the final dot is never sent.
 */
class WatchedBody {
  handedOver = false;

  constructor(
    private readonly body: Buffer | Readable,
    private readonly onFault: (error: Error) => void,
  ) {}

  /** What nodemailer takes for a message; a buffer is on its way (OutgoingConnection) when it is asked to `pipe`. */
  get source(): Readable {
    const { body } = this;
    if (body instanceof Readable) {
      body.once('end', () => (this.handedOver = true));
      body.on('error', ({ message }) => this.onFault(new Error(`the message could not be read: ${message}`)));
      return body;
    }
    const pipe = (): void => void (this.handedOver = true);
    return { pipe } as unknown as Readable;
  }
}
