// One connection of the load generator. It must cost far less than any server it measures: a reply is looked at for
// its code alone and becomes text only when it is not the one expected, and everything sent was made beforehand.
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';

export interface Auth {
  user: string;
  pass: string;
}

export interface LoadTarget {
  host: string;
  port: number;
  /** STARTTLS after the first EHLO; shared by all connections, because making one is dear. */
  tls: SecureContext | undefined;
  /** Asked once a session; undefined for one that does not log in. */
  auth: () => Auth | undefined;
  /** The last session ticket, offered to the server when there is one. */
  ticket: Buffer | undefined;
  /** Keep `ticket` up to date. */
  reuseTickets: boolean;
  /** Handshakes that the server resumed. */
  resumed: number;
}

/** The server said something else than it should, or went away. */
export class LoadFailure extends Error {
  constructor(
    message: string,
    /** Nothing more can be sent on this connection. */
    readonly fatal: boolean,
  ) {
    super(message);
  }
}

interface Waiter {
  resolve(reply: Buffer): void;
  reject(error: LoadFailure): void;
}

const EHLO = Buffer.from('EHLO load.test\r\n');
const STARTTLS = Buffer.from('STARTTLS\r\n');
const QUIT = Buffer.from('QUIT\r\n');

/** Longer than a server under any load may take for a reply; without a bound, one lost connection would hang a whole run. */
const NO_REPLY_MS = 60_000;

export class LoadSession {
  #socket: Socket;
  #rest: Buffer | undefined;
  #replies: Buffer[] = [];
  #waiter: Waiter | undefined;
  #gone: LoadFailure | undefined;

  private constructor(socket: Socket) {
    this.#socket = this.#listen(socket);
  }

  /** Connects, and goes as far as a client must before MAIL. */
  static async open(target: LoadTarget): Promise<LoadSession> {
    const session = new LoadSession(connect({ host: target.host, port: target.port, noDelay: true }));
    try {
      await session.#prepare(target);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  async #prepare(target: LoadTarget): Promise<void> {
    await this.expect('220');
    await this.ask(EHLO, '250');
    if (target.tls) {
      await this.ask(STARTTLS, '220');
      await this.#encrypt(target, target.tls);
      await this.ask(EHLO, '250');
    }
    const auth = target.auth();
    if (!auth) return;
    const token = Buffer.from(`\0${auth.user}\0${auth.pass}`).toString('base64');
    await this.ask(Buffer.from(`AUTH PLAIN ${token}\r\n`), '235');
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends, and waits for a reply with `code`; rejects with a LoadFailure for any other. */
  ask(bytes: Buffer, code: string): Promise<void> {
    this.send(bytes);
    return this.expect(code);
  }

  async expect(code: string): Promise<void> {
    const reply = this.#replies.shift() ?? (await this.#arrival());
    for (let index = 0; index < 3; index++) {
      if (reply[index] === code.charCodeAt(index)) continue;
      throw new LoadFailure(reply.toString().trim(), reply.toString('latin1', 0, 3) === '421');
    }
  }

  async quit(): Promise<void> {
    await this.ask(QUIT, '221').catch(() => {});
    this.close();
  }

  close(): void {
    this.#socket.destroy();
  }

  async #encrypt(target: LoadTarget, secureContext: SecureContext): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    plain.setTimeout(0); // What goes through TLS is no activity of the socket below it.
    const session = target.ticket;
    const secure = connectTls({ socket: plain, secureContext, session, rejectUnauthorized: false });
    if (target.reuseTickets) secure.on('session', (ticket) => (target.ticket = ticket));
    this.#socket = this.#listen(secure);
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve);
      secure.once('close', () => reject(this.#gone ?? new LoadFailure('TLS handshake failed', true)));
    });
    if (secure.isSessionReused()) target.resumed++;
  }

  #listen<S extends Socket>(socket: S): S {
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', () => this.#end('connection closed'));
    socket.setTimeout(NO_REPLY_MS, () => this.#waiter && this.#end(`no reply within ${NO_REPLY_MS / 1000} s`));
    return socket;
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      if (bytes[start + 3] !== 0x2d) this.#deliver(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#rest = start < bytes.length ? bytes.subarray(start) : undefined;
  }

  #deliver(reply: Buffer): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) waiter.resolve(reply);
    else this.#replies.push(reply);
  }

  #arrival(): Promise<Buffer> {
    if (this.#gone) return Promise.reject(this.#gone);
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  #end(reason: string): void {
    this.#gone ??= new LoadFailure(reason, true);
    this.#waiter?.reject(this.#gone);
    this.#waiter = undefined;
    this.#socket.destroy();
  }
}
