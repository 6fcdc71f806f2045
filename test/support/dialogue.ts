// An SMTP session typed by hand: a test says each line itself, right or wrong, and sees each reply as it came.
// Nothing is sent that the test did not ask for, and every wait ends, with all that was received so far in the error.
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { SmtpInput } from './smtp-input.js';
import { PATIENCE_MS } from './until.js';

export interface DialogueOptions {
  host?: string;
  /** Implicit TLS; certificates are not verified unless these options say so. */
  tls?: ConnectionOptions | true;
  /** Every wait of the dialogue; a minute when not given. */
  timeoutMs?: number;
  /** Resolve once connected; the greeting is then the first `reply`. For servers that stay silent. */
  skipGreeting?: boolean;
}

interface Waiter {
  resolve(reply: string): void;
  reject(error: Error): void;
}

/** Connects and waits for the greeting, which `greeting` holds. Rejects when the connection is refused or closed. */
export async function openDialogue(port: number, options: DialogueOptions = {}): Promise<Dialogue> {
  const host = options.host ?? '127.0.0.1';
  const plain = connect({ port, host, noDelay: true });
  const dialogue = new Dialogue(plain, options.timeoutMs ?? PATIENCE_MS);
  try {
    await dialogue.within(once(plain, 'connect'), 'no connection');
    if (options.tls) await dialogue.encrypt(options.tls === true ? {} : options.tls);
    if (!options.skipGreeting) dialogue.greeting = await dialogue.reply();
  } catch (error) {
    await dialogue.close();
    throw error;
  }
  return dialogue;
}

export class Dialogue {
  /** The first reply; empty with `skipGreeting`. */
  greeting = '';
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  #socket: Socket;
  #input = new SmtpInput();
  #unfinished: string[] = [];
  #replies: string[] = [];
  #waiters: Waiter[] = [];
  #received = '';
  #isClosed = false;

  constructor(
    plain: Socket,
    private readonly timeoutMs: number,
  ) {
    this.closed = new Promise((resolve) => plain.once('close', () => resolve()));
    void this.closed.then(() => this.#endAll());
    this.#socket = this.#listen(plain);
  }

  /** Sends `text` and CRLF; resolves with the next complete reply. */
  line(text: string): Promise<string> {
    this.send(`${text}\r\n`);
    return this.reply();
  }

  /** Sends bytes as they are. */
  send(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** The next complete reply without its last line end, the lines of a long one joined with \n. */
  reply(): Promise<string> {
    const ready = this.#replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#isClosed) return Promise.reject(this.#failure('the connection is closed'));
    const waiter = deferred();
    this.#waiters.push(waiter);
    return this.within(waiter.promise, 'no reply').catch((error: unknown) => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      throw error;
    });
  }

  /** The extension lines alone, `['PIPELINING', 'SIZE 1000']`; rejects when the answer is not 250. */
  async ehlo(name = 'client.test'): Promise<string[]> {
    const reply = await this.line(`EHLO ${name}`);
    if (!reply.startsWith('250')) throw this.#failure(`EHLO was answered with ${reply}`);
    return reply
      .split('\n')
      .slice(1)
      .map((line) => line.slice('250-'.length));
  }

  /** STARTTLS and, when it is granted, the handshake; resolves with the reply. */
  async startTls(options: ConnectionOptions = {}): Promise<string> {
    const reply = await this.line('STARTTLS');
    if (reply.startsWith('220')) await this.encrypt(options);
    return reply;
  }

  authPlain(user: string, pass: string): Promise<string> {
    return this.line(`AUTH PLAIN ${base64(`\0${user}\0${pass}`)}`);
  }

  /** Resolves with the first reply that is not 334. */
  async authLogin(user: string, pass: string): Promise<string> {
    let reply = '';
    for (const text of ['AUTH LOGIN', base64(user), base64(pass)]) {
      reply = await this.line(text);
      if (!reply.startsWith('334')) break;
    }
    return reply;
  }

  /** Ends the connection without QUIT. */
  close(): Promise<void> {
    this.#socket.destroy();
    return this.closed;
  }

  /** The handshake alone. Public for tests that answer STARTTLS in ways of their own. */
  async encrypt(options: ConnectionOptions): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    const secure = connectTls({ rejectUnauthorized: false, ...options, socket: plain });
    secure.on('close', () => plain.destroy());
    this.#socket = this.#listen(secure);
    await this.within(once(secure, 'secureConnect'), 'no TLS handshake');
  }

  /** `promise`, or a rejection after the timeout that begins with `what`. */
  within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#failure(`${what} in ${this.timeoutMs} ms`)), this.timeoutMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  #listen(socket: Socket): Socket {
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    return socket;
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.toString();
    this.#input.push(chunk);
    for (let line = this.#input.line(); line !== undefined; line = this.#input.line()) {
      this.#unfinished.push(line);
      if (line[3] !== '-') this.#deliver(this.#unfinished.splice(0).join('\n'));
    }
  }

  #deliver(reply: string): void {
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(reply);
    else this.#replies.push(reply);
  }

  #endAll(): void {
    this.#isClosed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#failure('the connection was closed'));
  }

  #failure(what: string): Error {
    return new Error(`${what}; received so far: ${JSON.stringify(this.#received.slice(-2000))}`);
  }
}

function deferred(): Waiter & { promise: Promise<string> } {
  let settle: Waiter | undefined;
  const promise = new Promise<string>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle! };
}

function once(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed before ${event}`)));
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
