// The server that mail is relayed to, as tests need it: it does what a script says at every stage, and shows exactly
// what arrived. It speaks SMTP itself over raw sockets, because a library would mend or refuse what must be seen.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Script } from './next-hop-script.js';
import { NextHopSession, type Hop, type Message } from './next-hop-session.js';
import { PATIENCE_MS } from './until.js';

export interface NextHopOptions {
  /** EHLO keywords; STARTTLS and AUTH are added from the options below. */
  extensions?: string[];
  /** Offers STARTTLS, or with `implicitTls` speaks TLS from the first byte. */
  tls?: { key: string; cert: string };
  implicitTls?: boolean;
  /** Offers AUTH PLAIN LOGIN, and refuses MAIL with 530 before it. */
  auth?: { user: string; pass: string };
  /** Asked before every answer; undefined means to accept. */
  script?: Script;
}

export interface NextHop {
  readonly port: number;
  readonly url: string;
  /** Those whose CRLF.CRLF came and that were not refused: with a reply of 2xx, or with none when the script says so. */
  readonly messages: Message[];
  /** Those whose CRLF.CRLF came and that were answered with 4xx or 5xx. */
  readonly refused: Message[];
  /** Connections open now. */
  readonly connections: number;
  readonly totalConnections: number;
  setScript(script: Script): void;
  /** Resolves with all messages when there are `count` of them; rejects after `timeoutMs`, saying how many came. */
  waitForMessages(count: number, timeoutMs?: number): Promise<Message[]>;
  /** Destroys every connection and closes the port. */
  stop(): Promise<void>;
}

const USUAL_EXTENSIONS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE 50000000', 'ENHANCEDSTATUSCODES'];

/** Listens on a free port of 127.0.0.1. */
export async function startNextHop(options: NextHopOptions = {}): Promise<NextHop> {
  const arrivals = new Arrivals();
  const hop: Hop = {
    extensions: options.extensions ?? USUAL_EXTENSIONS,
    tls: options.tls && createSecureContext(options.tls),
    implicitTls: options.implicitTls ?? false,
    auth: options.auth,
    script: options.script ?? (() => undefined),
    messageNumber: 0,
    record: (message) => arrivals.add(message),
  };
  const sockets = new Set<Socket>();
  let totalConnections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    void new NextHopSession(socket, ++totalConnections, hop).run();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${options.implicitTls ? 'smtps' : 'smtp'}://127.0.0.1:${port}`,
    messages: arrivals.messages,
    refused: arrivals.refused,
    get connections() {
      return sockets.size;
    },
    get totalConnections() {
      return totalConnections;
    },
    setScript: (script) => void (hop.script = script),
    waitForMessages: (count, timeoutMs = PATIENCE_MS) => arrivals.wait(count, timeoutMs),
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

class Arrivals {
  readonly messages: Message[] = [];
  readonly refused: Message[] = [];
  readonly #waiting = new Set<() => void>();

  add(message: Message): void {
    const refused = message.reply !== undefined && /^[45]/.test(message.reply);
    (refused ? this.refused : this.messages).push(message);
    for (const check of this.#waiting) check();
  }

  wait(count: number, timeoutMs: number): Promise<Message[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        const came = `${this.messages.length} of ${count} messages came in ${timeoutMs} ms`;
        reject(new Error(`${came}, ${this.refused.length} were refused`));
      }, timeoutMs);
      const check = () => {
        if (this.messages.length < count) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(this.messages);
      };
      this.#waiting.add(check);
      check();
    });
  }
}
