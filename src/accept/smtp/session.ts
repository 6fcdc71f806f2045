// One SMTP connection: greeting, dispatch of commands, limits and deadlines. The commands of a mail transaction are in
// transaction.ts. smtp-server gives the socket handling and TLS; every reply and every state is decided here.
// Uses private members of smtp-server, which is therefore pinned.
import type { Socket } from 'node:net';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import type { SMTPServer } from 'smtp-server';
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import type { Principal } from '../../authenticate/principal.js';
import { isLoopback } from '../../base/address.js';
import { refuse, type Refusal } from '../../message/refusal.js';
import { AuthExchange, type AuthStep } from './auth-exchange.js';
import type { SmtpDoor } from './door.js';
import { StrictStream } from './stream.js';
import { Transaction, type TransactionSession } from './transaction.js';

type Handler = (line: string, args: string) => void | Promise<void>;

export class SmtpSession extends SMTPConnection implements TransactionSession {
  principal: Principal | undefined;
  /** What the client called itself, '' before EHLO. */
  helo = '';
  extended = false;
  #auth: AuthExchange | undefined;
  #authFailures = 0;
  #errors = 0;
  #draining = false;
  #deadline: NodeJS.Timeout | undefined;
  readonly #transaction: Transaction;
  readonly #handlers: Record<string, Handler>;

  constructor(
    server: SMTPServer,
    socket: Socket,
    options: SMTPConnectionOptions | undefined,
    readonly door: SmtpDoor,
  ) {
    super(server, socket, options);
    this.#transaction = new Transaction(this);
    this.#handlers = this.#commands();
  }

  /** Greets at once. A client that speaks first is refused; nobody else waits for it. */
  override init(): void {
    this.#setDeadline(this.door.settings.loginTimeoutSeconds, 'login-too-slow');
    this._setListeners(() => this.connectionReady());
  }

  override connectionReady(): void {
    setImmediate(() => {
      if (this._closing || this._closed) return;
      this._ready = true;
      this._resetSession();
      this.reply(220, '', `${this.door.settings.hostname} ESMTP Postern`);
    });
  }

  /** Sends a reply; an empty `enhanced` code is left out. 421 closes the connection. */
  reply(code: number, enhanced: string, text: string | string[]): void {
    this.send(code, text, enhanced || false);
  }

  /**
   * Sends a refusal, with a line for the operator, and closes when there were too many. Before a login the line is
   * for debugging only: anybody can make them.
   */
  refuse(refusal: Refusal, facts: Record<string, unknown> = {}): void {
    const { code, enhanced } = refusal.row;
    const level = this.principal ? 'info' : 'debug';
    const who = { client: this.remoteAddress, key: this.principal?.keyId };
    this.door.log[level]({ ...facts, ...who, reason: refusal.reason, ...refusal.details }, 'refused');
    this.door.metrics.refused.inc({ reason: refusal.reason });
    if (code === 421) return this.reply(code, enhanced, `${this.door.settings.hostname} ${refusal.text}`);
    if (refusal.isPermanent && ++this.#errors > this.door.settings.maxErrors) {
      return this.refuse(refuse('too-many-errors'));
    }
    this.reply(code, enhanced, refusal.text);
  }

  /** Ends the session as soon as no transaction is under way; or, `onlyIfIdle`, now or not at all. */
  drain(onlyIfIdle = false): void {
    if (onlyIfIdle && (this.#transaction.isOpen || this.#auth)) return;
    this.#draining = true;
    if (!this.#transaction.isOpen && !this._closing) this.refuse(refuse('shutting-down'));
  }

  /** RFC 3848 and 6531: how the message came. */
  protocol(smtpUtf8: boolean): string {
    const base = smtpUtf8 ? 'UTF8SMTP' : this.extended ? 'ESMTP' : 'SMTP';
    return `${base}${this.secure ? 'S' : ''}${this.principal ? 'A' : ''}`;
  }

  /** Starts the clock of a message, and stops it. */
  startData(): void {
    this.#setDeadline(this.door.settings.dataTimeoutSeconds, 'data-too-slow');
  }

  /** A message that was accepted makes up for errors before it. */
  endData(accepted: boolean): void {
    clearTimeout(this.#deadline);
    if (accepted) this.#errors = 0;
    if (this.#draining) this.refuse(refuse('shutting-down'));
  }

  override _createParser(): SMTPStream {
    const stream = new StrictStream({
      onLine: (line, next) => this._onCommand(line, next),
      onLineTooLong: (next) => {
        this.#auth = undefined;
        this.#answer(refuse('line-too-long'), next);
      },
      onBadLineEnding: () => this.refuse(refuse('bad-line-ending')),
    });
    stream.on('error', (error) => this._onError(error));
    return stream;
  }

  /** The code that `reply` was given; the library's own replies (STARTTLS) keep theirs. */
  override _getEnhancedStatusCode(code: number, context?: string | false): string {
    if (context === false) return '';
    return context && /^[245]\.\d+\.\d+$/.test(context) ? context : super._getEnhancedStatusCode(code, context);
  }

  override _onTimeout(): void {
    if (this._closing) this._socket.destroy();
    else if (this.#transaction.isCommitting) this._armTimeout();
    else this.refuse(refuse('idle-too-long'));
  }

  override _onClose(): void {
    clearTimeout(this.#deadline);
    super._onClose();
    this.emit('closed');
  }

  override _onCommand(line: Buffer, next: () => void = () => {}): void {
    if (this._upgrading || this._closing) return next();
    if (!this._ready) return this.refuse(refuse('talked-too-soon'));
    if (this.#draining && !this.#transaction.isOpen) return this.refuse(refuse('shutting-down'));
    const done = (): void => this._whenWritable(next);
    const text = line.toString();
    const handler = this.#auth ? this.#onAuthResponse : this.#handlerOf(text);
    if (!handler) return this.#answer(refuse('unknown-command'), done);
    this.#run(handler, text, done);
  }

  #run(handler: Handler, line: string, done: () => void): void {
    const fail = (error: unknown): void => {
      this.door.log.error({ err: error }, 'a command failed');
      this.refuse(refuse('internal-error'));
      done();
    };
    try {
      const work = handler(line, line.slice(line.split(' ', 1)[0]!.length).trim());
      if (work) work.then(done, fail);
      else done();
    } catch (error) {
      fail(error);
    }
  }

  #handlerOf(line: string): Handler | undefined {
    const verb = line.split(' ', 1)[0]!.trim().toUpperCase();
    return Object.hasOwn(this.#handlers, verb) ? this.#handlers[verb] : undefined;
  }

  #answer(refusal: Refusal, done: () => void): void {
    this.refuse(refusal);
    setImmediate(done);
  }

  #commands(): Record<string, Handler> {
    const transaction = this.#transaction;
    return {
      EHLO: (_line, args) => this.#hello(args, true),
      HELO: (_line, args) => this.#hello(args, false),
      STARTTLS: (_line, args) => this.#startTls(args),
      AUTH: (_line, args) => this.#startAuth(args),
      MAIL: (line) => transaction.mail(line),
      RCPT: (line) => transaction.rcpt(line),
      DATA: (_line, args) => (args ? this.refuse(refuse('bad-arguments', { syntax: 'DATA' })) : transaction.data()),
      RSET: (_line, args) => (args ? this.refuse(refuse('bad-arguments', { syntax: 'RSET' })) : this.#reset()),
      NOOP: () => this.reply(250, '2.0.0', 'Ok'),
      QUIT: (_line, args) => (args ? this.refuse(refuse('bad-arguments', { syntax: 'QUIT' })) : this.#quit()),
      HELP: () => this.reply(214, '2.0.0', 'Postern: AUTH with user name apikey and the API key as password'),
      VRFY: () => this.reply(252, '2.1.5', 'Cannot verify, but will accept the message and attempt delivery'),
      EXPN: () => this.refuse(refuse('command-not-implemented')),
    };
  }

  #hello(name: string, extended: boolean): void {
    if (!/^[!-~\u0080-\u{10FFFF}]{1,255}$/u.test(name)) {
      return this.refuse(refuse('bad-arguments', { syntax: extended ? 'EHLO hostname' : 'HELO hostname' }));
    }
    this.helo = name;
    this.extended = extended;
    this.hostNameAppearsAs = name;
    this.openingCommand = extended ? 'EHLO' : 'HELO';
    this.#transaction.reset();
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
      ...(this.#mayAuth() && !this.principal ? ['AUTH PLAIN LOGIN'] : []),
    ];
  }

  #mayAuth(): boolean {
    const { allowInsecureAuth } = this.door.settings;
    if (this.secure || allowInsecureAuth === 'always') return true;
    return allowInsecureAuth === 'loopback' && isLoopback(this.remoteAddress);
  }

  #startTls(args: string): void {
    if (args) return this.refuse(refuse('bad-arguments', { syntax: 'STARTTLS' }));
    if (this.secure) return this.refuse(refuse('tls-active'));
    this.reply(220, '2.0.0', 'Ready to start TLS');
    // RFC 3207 4.2: what was said in the clear is forgotten.
    this.principal = undefined;
    this.helo = '';
    this.#setDeadline(this.door.settings.loginTimeoutSeconds, 'login-too-slow');
    this.#transaction.reset();
    this.upgrade(() => {});
  }

  #startAuth(args: string): Promise<void> | void {
    const refusal = this.#authRefusal();
    if (refusal) return this.refuse(refusal);
    const begun = AuthExchange.begin(args ? args.split(/ +/) : []);
    if ('reason' in begun) return this.refuse(begun);
    return this.#authStep(begun.exchange, begun.step);
  }

  #authRefusal(): Refusal | undefined {
    if (!this.helo) return refuse('hello-first');
    if (!this.#mayAuth()) return refuse('auth-needs-tls');
    return this.principal || this.#transaction.isOpen ? refuse('auth-already') : undefined;
  }

  readonly #onAuthResponse: Handler = (line) => this.#authStep(this.#auth!, this.#auth!.respond(line.trim()));

  async #authStep(exchange: AuthExchange, step: AuthStep): Promise<void> {
    this.#auth = 'challenge' in step ? exchange : undefined;
    if ('challenge' in step) return this.reply(334, '', step.challenge);
    if ('refusal' in step) return this.#authFailed(step.refusal, 'malformed');
    const login = await this.door.authenticator.logIn(step.credentials, this.remoteAddress);
    if ('refusal' in login) return this.#authFailed(login.refusal, login.verdict, login.keyId);
    const refusal = this.door.policy.connection(login.principal, this.secure);
    if (refusal) return this.#authFailed(refusal, 'tls-required', login.principal.keyId);
    this.principal = login.principal;
    this.session.user = login.principal.keyId;
    clearTimeout(this.#deadline);
    this.door.metrics.logins.inc({ verdict: 'valid' });
    this.door.log.debug({ client: this.remoteAddress, key: login.principal.keyId }, 'logged in');
    this.reply(235, '2.7.0', 'Authentication successful');
  }

  #authFailed(refusal: Refusal, verdict: string, keyId?: string): void {
    this.door.metrics.logins.inc({ verdict });
    this.door.log.warn({ client: this.remoteAddress, helo: this.helo, verdict, key: keyId }, 'login refused');
    if (refusal.isPermanent && ++this.#authFailures >= this.door.settings.maxAuthFailures) {
      return this.refuse(refuse('too-many-auth-failures'));
    }
    this.refuse(refusal);
  }

  #reset(): void {
    this.#transaction.reset();
    if (this.#draining) return this.refuse(refuse('shutting-down'));
    this.reply(250, '2.0.0', 'Ok');
  }

  #quit(): void {
    this.reply(221, '2.0.0', 'Bye');
    this.close();
  }

  /** An absolute bound, which no trickle of octets puts off. */
  #setDeadline(seconds: number, reason: 'login-too-slow' | 'data-too-slow'): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      if (!this.#transaction.isCommitting) this.refuse(refuse(reason, { limit: seconds }));
    }, seconds * 1000);
    this.#deadline.unref();
  }
}
