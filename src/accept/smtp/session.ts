// One SMTP connection: greeting, dispatch of commands, limits and deadlines. The commands of a mail transaction are in
// transaction.ts. smtp-server gives the socket handling and TLS; every reply and every state is decided here.
// Uses private members of smtp-server, which is therefore pinned.
import type { Socket } from 'node:net';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import type { SMTPServer } from 'smtp-server';
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { isBlocked } from '../../authenticate/authenticator.js';
import { clearLoginRefusal } from '../../authenticate/clear-login.js';
import type { Principal } from '../../authenticate/principal.js';
import { messageOf } from '../../base/fault.js';
import { refuse, type Refusal } from '../../message/refusal.js';
import { AuthExchange, type AuthStep } from './auth-exchange.js';
import { commands, lineRefusal, verbOf, withoutTrailingBlanks, type CommandSession, type Handler } from './commands.js';
import { Deadlines } from './deadlines.js';
import type { SmtpDoor } from './door.js';
import { isHelloName } from './hello-name.js';
import { SessionRecorder } from './recorder.js';
import { replyText } from './reply-text.js';
import { StrictStream } from './stream.js';
import { Transaction, type TransactionSession } from './transaction.js';

const onAuthResponse: Handler = (session, line) => session.respondToChallenge(line);

export class SmtpSession extends SMTPConnection implements TransactionSession, CommandSession {
  principal: Principal | undefined;
  /** What the client called itself, '' before EHLO. */
  helo = '';
  extended = false;
  #auth: AuthExchange | undefined;
  #authFailures = 0;
  #errors = 0;
  /** Commands since the last message that sent nothing. */
  #commands = 0;
  #draining = false;
  /** A command is being handled: the client waits for us. */
  #busy = false;
  /** The socket of a TLS handshake that STARTTLS began. */
  #handshake: Socket | undefined;
  readonly #deadlines: Deadlines;
  readonly transaction: Transaction;
  readonly transcript: SessionRecorder;

  constructor(
    server: SMTPServer,
    socket: Socket,
    options: SMTPConnectionOptions | undefined,
    readonly door: SmtpDoor,
  ) {
    super(server, socket, options);
    this.transaction = new Transaction(this);
    this.transcript = new SessionRecorder(door.recording, door.clock);
    this.#deadlines = new Deadlines(door.settings);
  }

  /** Greets at once. A client that has spoken first is refused; nobody else waits for it. */
  override init(): void {
    // One that sends all it has to say, and shuts down its side, still gets its replies.
    this._socket.allowHalfOpen = true;
    this.#deadlines.startLogin(this.door.clock.now());
    this._setListeners(() => this.connectionReady());
  }

  override connectionReady(): void {
    // What came together with the connection is read between the two.
    setImmediate(() => setImmediate(() => this.#greet()));
  }

  #greet(): void {
    if (this._closing || this._closed) return;
    this._ready = true;
    this.reply(220, '', `${this.door.settings.hostname} ESMTP Postern`);
  }

  /** Sends a reply; an empty `enhanced` code is left out. 421 closes the connection. */
  reply(code: number, enhanced: string, text: string | string[]): void {
    this.transcript.reply(code, enhanced, text);
    // During a handshake the socket is the one below it: what is written there would be in the clear.
    if (!this._upgrading && this._socket.writable) this._socket.write(replyText(code, enhanced, text));
    this.#deadlines.answered(this.door.clock.now());
    if (code === 421) this.close();
  }

  /**
   * Sends a refusal, with a line for the operator, and closes when there were too many. Before a login the line is
   * for debugging only: anybody can make them.
   */
  refuse(refusal: Refusal, facts: Record<string, unknown> = {}): void {
    if (this._closing) return;
    const { code, enhanced } = refusal.row;
    const level = this.principal ? 'info' : 'debug';
    const who = { client: this.remoteAddress, key: this.principal?.keyId };
    this.door.log[level]({ ...facts, ...who, reason: refusal.reason, ...refusal.details }, 'refused');
    this.door.metrics.refused.inc({ reason: refusal.reason });
    this.transcript.refused(refusal.reason);
    if (code === 421) return this.reply(code, enhanced, `${this.door.settings.hostname} ${refusal.text}`);
    if (refusal.isPermanent && ++this.#errors > this.door.settings.maxErrors) {
      return this.refuse(refuse('too-many-errors'));
    }
    this.reply(code, enhanced, refusal.text);
  }

  /** Ends the session when one of its bounds in time has passed. */
  checkDeadlines(now: number): void {
    if (this._closing || this.#busy || this.transaction.isCommitting) return;
    const refusal = this.#deadlines.passed(now, this._socket.bytesRead);
    if (!refusal) return;
    this.#end(refusal);
  }

  /** A refusal that ends the session; in a handshake it cannot be told. */
  #end(refusal: Refusal): void {
    this.refuse(refusal);
    this.#handshake?.destroy();
  }

  /** Ends the session as soon as no transaction is under way; or, `onlyIfIdle`, now or not at all. */
  drain(onlyIfIdle = false): void {
    if (onlyIfIdle && (this.transaction.isOpen || this.#auth)) return;
    this.#draining = true;
    if (!this.transaction.isOpen && !this._closing) this.#end(refuse('shutting-down'));
  }

  /** RFC 3848 and 6531: how the message came. */
  protocol(smtpUtf8: boolean): string {
    const base = smtpUtf8 ? 'UTF8SMTP' : this.extended ? 'ESMTP' : 'SMTP';
    return `${base}${this.secure ? 'S' : ''}${this.principal ? 'A' : ''}`;
  }

  startTransaction(): void {
    this.#deadlines.startTransaction(this.door.clock.now());
  }

  startData(): void {
    this.#deadlines.startData(this.door.clock.now());
  }

  endTransaction(): void {
    this.#deadlines.endTransaction();
  }

  /** A message that was accepted makes up for errors before it. */
  endData(accepted: boolean): void {
    if (accepted) this.#errors = this.#commands = 0;
    if (this.#draining) this.refuse(refuse('shutting-down'));
  }

  override _createParser(): SMTPStream {
    const stream = new StrictStream({
      onLine: (line, next) => this._onCommand(line, next),
      onLineTooLong: (start, next) => {
        if (this._upgrading || this._closing) return next();
        if (!this._ready) return this.refuse(refuse('talked-too-soon'));
        const isAuth = this.#auth !== undefined || /^AUTH /i.test(start.toString('latin1'));
        this.#auth = undefined;
        this.transcript.remark('the client sent a line that is too long');
        this.#answer(refuse(isAuth ? 'auth-line-too-long' : 'line-too-long'), next);
      },
      onBadLineEnding: () => this.refuse(refuse('bad-line-ending')),
      onEnd: () => this.#ended(),
    });
    stream.on('error', (error) => this._onError(error));
    return stream;
  }

  /** The listener asks for the deadlines of all; the library's timers are none. */
  override _armTimeout(socket?: Socket): void {
    if (!this._upgrading || !socket) return;
    this.#handshake = socket;
    // A client that leaves in the middle of a handshake is gone.
    socket.allowHalfOpen = false;
    this._socket.allowHalfOpen = false;
    for (const each of [socket, this._socket]) each.once('end', () => socket.destroy());
    socket.once('error', (error) => this.transcript.remark(`TLS handshake failed: ${messageOf(error)}`));
  }

  override _onClose(): void {
    super._onClose();
    const { id, remoteAddress: client, tlsOptions: tls } = this;
    this.transcript.end({
      ...{ id, client, listener: this._server.options.secure ? 'smtps' : 'smtp' },
      ...{ tls: tls ? `${tls.version} ${tls.name}` : '', inHandshake: this._upgrading },
    });
    this.emit('closed');
  }

  override _onCommand(line: Buffer, next: () => void = () => {}): void {
    if (this._upgrading || this._closing) return next();
    if (!this._ready) return this.refuse(refuse('talked-too-soon'));
    if (this.#draining && !this.transaction.isOpen) return this.refuse(refuse('shutting-down'));
    const done = (): void => {
      this.#busy = false;
      this._whenWritable(next);
    };
    const text = withoutTrailingBlanks(line.toString());
    this.transcript.command(text, this.#auth !== undefined);
    if (this.#auth) return this.#run(onAuthResponse, text, done);
    const verb = verbOf(text);
    const refusal = this.#lineRefusal(text, verb, line.length);
    if (refusal) return this.#answer(refusal, done);
    this.#run(commands[verb]!, text, done);
  }

  /** What is wrong with a command before it is looked into. */
  #lineRefusal(line: string, verb: string, octets: number): Refusal | undefined {
    const refusal = lineRefusal(line, verb, octets);
    if (refusal) return refusal;
    const { maxCommands: limit } = this.door.settings;
    // Recipients have a bound of their own, and whoever says goodbye may.
    if (verb !== 'RCPT' && verb !== 'QUIT' && ++this.#commands > limit) return refuse('too-many-commands', { limit });
    return undefined;
  }

  #run(handler: Handler, line: string, done: () => void): void {
    const fail = (error: unknown): void => {
      this.door.log.error({ err: error }, 'a command failed');
      this.refuse(refuse('internal-error'));
      done();
    };
    this.#busy = true;
    try {
      const work = handler(this, line, line.slice(line.split(' ', 1)[0]!.length).trimStart());
      if (work) work.then(done, fail);
      else done();
    } catch (error) {
      fail(error);
    }
  }

  #answer(refusal: Refusal, done: () => void): void {
    this.refuse(refusal);
    setImmediate(done);
  }

  /** The client has shut down its side. A message that is not complete is none. */
  #ended(): void {
    if (this._dataStream) this._socket.destroy();
    else this.close();
  }

  hello(name: string, extended: boolean): void {
    if (!isHelloName(name)) {
      return this.refuse(refuse('bad-arguments', { syntax: extended ? 'EHLO hostname' : 'HELO hostname' }));
    }
    this.helo = name;
    this.extended = extended;
    this.transaction.reset();
    if (this.#draining) return this.refuse(refuse('shutting-down'));
    const { hostname } = this.door.settings;
    this.reply(250, '', extended ? [hostname, ...this.#extensions()] : hostname);
  }

  #extensions(): string[] {
    return [
      'PIPELINING',
      '8BITMIME',
      'SMTPUTF8',
      'ENHANCEDSTATUSCODES',
      'DSN',
      `SIZE ${this.door.settings.maxMessageBytes}`,
      ...(this.secure ? [] : ['STARTTLS']),
      ...(!this.principal && !this.#clearLoginRefusal() ? ['AUTH PLAIN LOGIN'] : []),
    ];
  }

  #clearLoginRefusal(): Refusal | undefined {
    const { secure, remoteAddress: address } = this;
    return clearLoginRefusal(this.door.settings.allowInsecureAuth, { address, secure });
  }

  startTls(): void {
    if (this.secure) return this.refuse(refuse('tls-active'));
    this.reply(220, '2.0.0', 'Ready to start TLS');
    // A client that has shut down its side cannot shake hands.
    if (this._socket.readableEnded) return this.close();
    // RFC 3207 4.2: what was said in the clear is forgotten.
    this.principal = undefined;
    this.helo = '';
    this.transaction.reset();
    this.#deadlines.startLogin(this.door.clock.now());
    this.upgrade(
      () => {},
      () => {
        this.#handshake = undefined;
        this._socket.allowHalfOpen = true;
      },
    );
  }

  startAuth(args: string): Promise<void> | void {
    const refusal = this.#authRefusal();
    if (refusal) return this.refuse(refusal);
    const begun = AuthExchange.begin(args ? args.split(/ +/) : []);
    if ('reason' in begun) return this.refuse(begun);
    return this.#authStep(begun.exchange, begun.step);
  }

  #authRefusal(): Refusal | undefined {
    if (!this.helo) return refuse('hello-first');
    const refusal = this.#clearLoginRefusal();
    if (refusal) return refusal;
    return this.principal || this.transaction.isOpen ? refuse('auth-already') : undefined;
  }

  respondToChallenge(line: string): Promise<void> {
    return this.#authStep(this.#auth!, this.#auth!.respond(line));
  }

  async #authStep(exchange: AuthExchange, step: AuthStep): Promise<void> {
    this.#auth = 'challenge' in step ? exchange : undefined;
    if ('challenge' in step) return this.reply(334, '', step.challenge);
    const { authenticator } = this.door;
    const login = await ('refusal' in step
      ? authenticator.malformed(step.refusal, this.remoteAddress)
      : authenticator.logIn(step.credentials, this.remoteAddress, this.helo));
    if (this._closed) return;
    if ('refusal' in login) {
      this.transcript.loginFailed(login.verdict, login.keyId, 'credentials' in step ? step.credentials : undefined);
      return this.#authFailed(login.refusal, login.verdict, login.keyId);
    }
    const refusal = this.door.policy.connection(login.principal, this.secure);
    if (refusal) {
      this.transcript.loginFailed('tls-required', login.principal.keyId);
      return this.#authFailed(refusal, 'tls-required', login.principal.keyId);
    }
    this.transcript.loggedIn(login.principal.keyId);
    this.principal = login.principal;
    this.#deadlines.endLogin();
    this.door.metrics.logins.inc({ verdict: 'valid' });
    this.door.log.debug({ client: this.remoteAddress, key: login.principal.keyId }, 'logged in');
    this.reply(235, '2.7.0', 'Authentication successful');
  }

  #authFailed(refusal: Refusal, verdict: string, keyId?: string): void {
    this.door.metrics.logins.inc({ verdict });
    this.door.refusedLogins.note(verdict, this.remoteAddress, keyId);
    // The guard has said that the address is blocked: no line for each of its attempts.
    const level = isBlocked({ refusal, verdict }) ? 'debug' : 'warn';
    this.door.log[level]({ client: this.remoteAddress, helo: this.helo, verdict, key: keyId }, 'login refused');
    if (refusal.isPermanent && ++this.#authFailures >= this.door.settings.maxAuthFailures) {
      return this.refuse(refuse('too-many-auth-failures'));
    }
    this.refuse(refusal);
  }

  reset(): void {
    this.transaction.reset();
    if (this.#draining) return this.refuse(refuse('shutting-down'));
    this.reply(250, '2.0.0', 'Ok');
  }

  /** RFC 5321 7.3: says nothing about anybody. */
  verify(name: string): void {
    if (!name) return this.refuse(refuse('bad-arguments', { syntax: 'VRFY name' }));
    this.reply(252, '2.5.0', 'Cannot verify, but will accept the message and attempt delivery');
  }

  quit(): void {
    this.reply(221, '2.0.0', 'Bye');
    this.close();
  }
}
