// The socket under one session of the fake next hop: lines and messages in, replies out, TLS put underneath in the
// middle. It never throws for what the peer does; a connection that has ended reads as undefined.
import type { Socket } from 'node:net';
import { TLSSocket, type SecureContext } from 'node:tls';
import type { Verdict } from './next-hop-script.js';
import { SmtpInput } from './smtp-input.js';

export class NextHopWire {
  #socket: Socket;
  #input = new SmtpInput();
  #wake = () => {};
  #over = false;

  constructor(plain: Socket) {
    this.#socket = this.#listen(plain);
  }

  /** The connection has ended, or the script has ended the session. */
  get over(): boolean {
    return this.#over;
  }

  get encrypted(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  line(): Promise<string | undefined> {
    return this.#next(() => this.#input.line());
  }

  message(): Promise<Buffer | undefined> {
    return this.#next(() => this.#input.message());
  }

  send({ reply, then }: Verdict): void {
    const socket = this.#socket;
    if (reply !== undefined) socket.write(`${reply.replace(/\r?\n/g, '\r\n')}\r\n`);
    if (then === 'go-on') return;
    this.#over = true;
    if (then === 'drop' && reply === undefined) socket.destroy();
    else if (then === 'drop') socket.end(() => socket.destroy());
  }

  say(reply: string): void {
    this.send({ reply, then: 'go-on' });
  }

  /** The server's side of a handshake. What was sent in clear behind STARTTLS is thrown away (RFC 3207, 4.2). */
  encrypt(secureContext: SecureContext): void {
    this.#input = new SmtpInput();
    this.#socket.removeAllListeners('data');
    this.#socket = this.#listen(new TLSSocket(this.#socket, { isServer: true, secureContext }));
  }

  #listen(socket: Socket): Socket {
    socket.on('data', (chunk: Buffer) => {
      this.#input.push(chunk);
      this.#wake();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#over = true;
      this.#wake();
    });
    return socket;
  }

  /** Waits until `take` finds something in the input. */
  async #next<T>(take: () => T | undefined): Promise<T | undefined> {
    for (;;) {
      const taken = this.#over ? undefined : take();
      if (taken !== undefined || this.#over) return taken;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
