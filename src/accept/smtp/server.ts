// A listener: STARTTLS or implicit TLS, and the sessions on it. Uses smtp-server for sockets and TLS handshakes;
// sessions are our own (session.ts).
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import { contextFor, type Contexts } from '../../base/certificate-set.js';
import { messageOf } from '../../base/fault.js';
import { pause } from '../../base/pause.js';
import { clientNetworks, networkList } from '../../base/address.js';
import { BACKLOG, listenFault } from '../../base/listen.js';
import { refuse, type Refusal } from '../../message/refusal.js';
import { ConnectionCount, type ConnectionGate, type TooMany } from './connection-count.js';
import type { SmtpDoor } from './door.js';
import { takeProxyHeader } from './proxy-socket.js';
import { replyText } from './reply-text.js';
import { SmtpSession } from './session.js';

/** A PROXY header or a TLS handshake that is waited for. */
interface Pending {
  /** When it must be over. */
  until: number;
  /** Whose handshake it is; undefined while a proxy has not said it. */
  network?: string;
}

interface SessionFacts {
  id: string;
  localAddress: string;
  localPort: number;
  /** Of the client of a trusted proxy. */
  remoteAddress?: string;
  remotePort?: number;
}

/** A client that says nothing for so long between two transactions is not about to send. */
const SILENCE_MS = 2000;
/** How often the deadlines of all sessions are looked at. */
const SWEEP_MS = 250;
/** How long a trusted proxy may take to say who its client is. */
const PROXY_HEADER_MS = 5000;
/** How long a client that was turned away may take to read why. */
const LINGER_MS = 1000;

export class SmtpListener extends SMTPServer {
  readonly #sessions = new Set<SmtpSession>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #isProxy: (address: string) => boolean;
  readonly #pending = new Map<Socket, Pending>();
  /** TLS handshakes under way, by client: no session counts them yet. */
  readonly #handshakes = new ConnectionCount();
  #whenEmpty: (() => void) | undefined;
  /** Told to each session, which would otherwise ask the system. */
  #local = { localAddress: '', localPort: 0 };

  constructor(
    private readonly door: SmtpDoor,
    private readonly gate: ConnectionGate,
    secure: boolean,
    contexts: Contexts,
  ) {
    super({
      secure,
      logger: false,
      name: door.settings.hostname,
      disableReverseLookup: true,
      // Of TLS handshakes under way, which no session counts yet.
      maxClients: door.settings.maxConnections,
      // Of TLS handshakes alone; sessions have their own deadlines.
      socketTimeout: door.settings.loginTimeoutSeconds * 1000,
    });
    this.on('error', (error) => door.log.debug({ fault: messageOf(error) }, 'connection failed'));
    this.#isProxy = networkList(door.settings.trustedProxies ?? []);
    this.setContexts(contexts);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** The certificates of new handshakes, in place of the library's own, whose key is public. */
  setContexts(contexts: Contexts): void {
    this.secureContext = contexts;
  }

  /** The context for the name that a client asks for; one that nobody has is no error. */
  override _resolveSNI(name: string, done: (error: Error | null, context?: SecureContext) => void): void {
    done(null, contextFor(this.secureContext, name));
  }

  /** Only a listed proxy is believed; from anybody else there is nothing to wait for before a session begins. */
  override _handleProxy(socket: Socket, callback: (error: Error | null, options?: SessionFacts) => void): void {
    const facts = { id: this.door.newId(), ...this.#local };
    if (!this._expectsProxyHeader(socket)) return callback(null, facts);
    const proxy = socket.remoteAddress;
    takeProxyHeader(socket, (header) => {
      if (typeof header === 'string') {
        this.door.log[header === 'left' ? 'debug' : 'warn']({ proxy, fault: header }, 'no PROXY header');
        socket.destroy();
        return callback(new Error(`no PROXY header: ${header}`));
      }
      const { address, port } = header.client ?? {};
      if (this.options.secure && !this.#beginHandshake(socket, address ?? proxy)) {
        return callback(new Error('too many handshakes'));
      }
      callback(null, { ...facts, ...(address && { remoteAddress: address, remotePort: port }) });
    });
  }

  override _expectsProxyHeader(socket: Socket): boolean {
    return this.#isProxy(socket.remoteAddress ?? '');
  }

  override connect(socket: Socket, options?: SMTPConnectionOptions): void {
    // Until there is a session nobody else listens to it.
    socket.on('error', () => {});
    // Known now: a socket that is closed forgets it.
    const address = options?.remoteAddress ?? socket.remoteAddress ?? '';
    const go = (tooMany: TooMany | undefined): void => {
      if (tooMany) this.#turnAway(socket, address, refuse(tooMany));
      else if (socket.destroyed) this.gate.leave(address);
      else this.#begin(socket, options, address);
    };
    const verdict = this.gate.admit(address);
    if (verdict instanceof Promise) void verdict.then(go);
    else go(verdict);
  }

  #begin(socket: Socket, options: SMTPConnectionOptions | undefined, address: string): void {
    const session = new SmtpSession(this, socket, options, this.door);
    this.connections.add(session);
    this.#sessions.add(session);
    this.door.metrics.connections.inc();
    session.on('error', (error: unknown) =>
      this.door.log.debug({ client: address, fault: messageOf(error) }, 'session failed'),
    );
    session.once('closed', () => this.#closed(session, address));
    session.init();
  }

  /** @returns the port. @throws OperatorError that names the setting. */
  async open(host: string, port: number, setting: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port, backlog: BACKLOG }, () => resolve());
    }).catch((error: unknown) => Promise.reject(listenFault(error, host, port, setting)));
    const { address, port: opened } = this.server.address() as AddressInfo;
    this.#local = { localAddress: address, localPort: opened };
    return opened;
  }

  /**
   * Takes no more connections and lets the sessions go on, because others serve now: each ends when its client wants
   * it, or is silent between transactions. Resolves when all have ended, or after `ms`.
   */
  async retire(ms: number): Promise<void> {
    this.server.close();
    const until = Date.now() + ms;
    const seen = new Map<SmtpSession, number>();
    while (this.#sessions.size + this._pendingSockets.size > 0 && Date.now() < until) {
      await pause(SILENCE_MS);
      for (const session of this.#sessions) {
        if (seen.get(session) === session._socket.bytesRead) session.drain(true);
        else seen.set(session, session._socket.bytesRead);
      }
    }
  }

  /** Takes no more connections, lets transactions end, and cuts what is left after `ms`. */
  async drain(ms: number): Promise<void> {
    this.server.close();
    this._pendingSockets.forEach((socket) => socket.destroy());
    for (const session of this.#sessions) session.drain();
    if (this.#sessions.size === 0) return clearInterval(this.#sweeper);
    const timer = setTimeout(() => this.#sessions.forEach((session) => session._socket.destroy()), ms);
    await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
    clearTimeout(timer);
    clearInterval(this.#sweeper);
  }

  /** An absolute bound on a PROXY header and on a handshake: the library's is put off by every octet. */
  override _acceptSocket(socket: Socket, handshake: boolean): (() => void) | false {
    const release = super._acceptSocket(socket, handshake);
    const isProxy = this._expectsProxyHeader(socket);
    if (!release || !(handshake || isProxy)) return release;
    if (isProxy) this.#pending.set(socket, { until: this.door.clock.now() + PROXY_HEADER_MS });
    else if (!this.#beginHandshake(socket, socket.remoteAddress)) return false;
    socket.once('close', () => this.#settle(socket));
    return () => {
      this.#settle(socket);
      release();
    };
  }

  /** Counts a handshake until it is settled. @returns false, and the socket is gone, when its client has too many. */
  #beginHandshake(socket: Socket, address = ''): boolean {
    const { maxConnectionsPerAddress, loginTimeoutSeconds } = this.door.settings;
    const { address: network } = clientNetworks(address);
    if (this.#handshakes.of(network) >= maxConnectionsPerAddress) {
      // Nothing can be said in the middle of a handshake.
      this.door.metrics.refused.inc({ reason: 'too-many-connections-from-address' });
      this.door.log.debug({ client: address }, 'refused: too many TLS handshakes at the same time');
      socket.on('error', () => {});
      socket.destroy();
      return false;
    }
    this.#handshakes.move(network, 1);
    this.#pending.set(socket, { until: this.door.clock.now() + loginTimeoutSeconds * 1000, network });
    return true;
  }

  #settle(socket: Socket): void {
    const network = this.#pending.get(socket)?.network;
    this.#pending.delete(socket);
    if (network !== undefined) this.#handshakes.move(network, -1);
  }

  #sweep(): void {
    const now = this.door.clock.now();
    for (const session of this.#sessions) session.checkDeadlines(now);
    // The topmost socket: tearing down the one below a handshake is not safe.
    for (const [socket, { until }] of this.#pending) if (now >= until) this._pendingSockets.get(socket)?.destroy();
  }

  /** No session is made for a connection too many: one line, and its socket is gone. */
  #turnAway(socket: Socket, client: string, { reason, row, text }: Refusal): void {
    this.door.metrics.refused.inc({ reason });
    this.door.log.debug({ client, reason }, 'refused');
    socket.on('error', () => {});
    socket.end(replyText(row.code, row.enhanced, `${this.door.settings.hostname} ${text}`));
    // What the client has sent is read: closed upon it, the connection would be reset and the reason lost.
    socket.resume();
    socket.setTimeout(LINGER_MS, () => socket.destroy());
  }

  #closed(session: SmtpSession, address: string): void {
    this.#sessions.delete(session);
    this.gate.leave(address);
    this.door.metrics.connections.dec();
    if (this.#sessions.size === 0) this.#whenEmpty?.();
  }
}
