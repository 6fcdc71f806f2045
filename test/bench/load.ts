// The load generator of the benchmarks: N connections that send M messages and check every reply, against any SMTP
// server. As a module `runLoad`; as a program it prints the result as one line of JSON (the password is in LOAD_PASSWORD):
//   node --import tsx test/bench/load.ts --port 2525 --connections 20 --messages 10000 --size 4096 --mode kept
import { createSecureContext } from 'node:tls';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LoadFailure, LoadSession, type Auth, type LoadTarget } from '../support/load-session.js';

export interface LoadOptions {
  port: number;
  host?: string;
  connections: number;
  /** Tried in all; each counts once, as sent or as a failure. */
  messages: number;
  /** With CRLF line ends, not dot-stuffed. */
  message: Buffer;
  /** A connection for all messages, or one for each. */
  mode: 'kept' | 'per-message';
  /** Several: sessions take turns with them. */
  auth?: Auth | Auth[];
  starttls?: boolean;
  /** Per message; 1 when not given. */
  recipients?: number;
  from?: string;
  /** Further recipients are `2.` + to, `3.` + to and so on. */
  to?: string;
  /** Offer the last session ticket at each handshake. */
  tlsSessionReuse?: boolean;
  /** MAIL, RCPT and DATA in one packet, instead of waiting for each reply. */
  pipelining?: boolean;
  /** Begins messages at this pace, as long as a connection is free, instead of as fast as the server allows. */
  ratePerSecond?: number;
  /** Puts `X-Bench-Id: <idPrefix>00000001` in front of the first message, and so on. */
  idPrefix?: string;
  /** Called at once with the number of each message that was answered with 250, from 1. */
  onAccepted?: (number: number) => void;
}

export interface LoadResult {
  /** Answered with 250. */
  messages: number;
  /** With mode `kept` without the time to connect and log in. */
  seconds: number;
  /** When that time began, milliseconds since the epoch. */
  startedAt: number;
  perSecond: number;
  /**
   * To the final 250, from MAIL in mode `kept` and from connecting in mode `per-message`. With a pace, a message that
   * had to wait for a free connection counts from when it was due.
   */
  latencyMs: { p50: number; p99: number; max: number };
  /** The reply, or what became of the connection, and how often. */
  failures: Record<string, number>;
  /** Handshakes shortened by a session ticket. */
  tlsResumed: number;
}

/** Sends all messages and resolves with what came of them; never rejects for what the server does. */
export function runLoad(options: LoadOptions): Promise<LoadResult> {
  return new LoadRun(options).run();
}

/** The commands of a transaction, made once. */
interface Commands {
  mail: Buffer;
  rcpts: Buffer[];
  data: Buffer;
  /** All of them. */
  together: Buffer;
}

const RSET = Buffer.from('RSET\r\n');
const ID_DIGITS = 8;
const MAX_KINDS_OF_FAILURE = 20;

class LoadRun {
  readonly #commands: Commands;
  readonly #target: LoadTarget;
  readonly #latenciesMs: Float64Array;
  readonly #failures: Record<string, number> = {};
  #begun = 0;
  #accepted = 0;
  #startedAt = 0;

  constructor(private readonly options: LoadOptions) {
    this.#commands = makeCommands(options);
    this.#latenciesMs = new Float64Array(options.messages);
    this.#target = {
      host: options.host ?? '127.0.0.1',
      port: options.port,
      tls: options.starttls ? createSecureContext() : undefined,
      auth: takeTurns([options.auth ?? []].flat()),
      ticket: undefined,
      reuseTickets: options.tlsSessionReuse ?? false,
      resumed: 0,
    };
  }

  async run(): Promise<LoadResult> {
    const kept = this.options.mode === 'kept';
    const senders = Array.from({ length: this.options.connections }, () => new Envelope(this.options));
    const open = () => LoadSession.open(this.#target).catch(() => undefined); // Tried again, and counted, per message.
    const sessions = kept ? await Promise.all(senders.map(open)) : [];
    this.#startedAt = performance.now();
    await Promise.all(senders.map((envelope, index) => this.#send(envelope, sessions[index])));
    return this.#result((performance.now() - this.#startedAt) / 1000);
  }

  async #send(envelope: Envelope, session: LoadSession | undefined): Promise<void> {
    while (this.#begun < this.options.messages) {
      const number = ++this.#begun;
      const startedAt = (await this.#due(number)) ?? performance.now();
      try {
        session ??= await LoadSession.open(this.#target);
        await this.#transact(session, envelope.stamp(number));
        this.#latenciesMs[this.#accepted++] = performance.now() - startedAt;
        this.options.onAccepted?.(number);
        if (this.options.mode === 'per-message') session = void (await session.quit());
      } catch (error) {
        session = await this.#fail(error as Error, session);
      }
    }
    await session?.quit();
  }

  /** Waits until the message is due. @returns when it was, if that is past; undefined without a pace or after waiting. */
  async #due(number: number): Promise<number | undefined> {
    if (this.options.ratePerSecond === undefined) return undefined;
    const at = this.#startedAt + ((number - 1) * 1000) / this.options.ratePerSecond;
    const waitMs = at - performance.now();
    if (waitMs <= 0) return at;
    await setTimeout(waitMs);
    return undefined;
  }

  async #transact(session: LoadSession, message: Buffer): Promise<void> {
    const { mail, rcpts, data, together } = this.#commands;
    if (this.options.pipelining) {
      session.send(together);
      await expectAll(session, ['250', ...rcpts.map(() => '250'), '354']);
    } else {
      await session.ask(mail, '250');
      for (const rcpt of rcpts) await session.ask(rcpt, '250');
      await session.ask(data, '354');
    }
    await session.ask(message, '250');
  }

  /** Counts, and returns the session if it is fit for another message. */
  async #fail(error: Error, session: LoadSession | undefined): Promise<LoadSession | undefined> {
    const known = error.message in this.#failures || Object.keys(this.#failures).length < MAX_KINDS_OF_FAILURE;
    const kind = known ? error.message : `${error.message.slice(0, 3)} ...`;
    this.#failures[kind] = (this.#failures[kind] ?? 0) + 1;
    const reusable = this.options.mode === 'kept' && error instanceof LoadFailure && !error.fatal;
    if (session && reusable && (await isReset(session))) return session;
    session?.close();
    return undefined;
  }

  #result(seconds: number): LoadResult {
    const sorted = this.#latenciesMs.subarray(0, this.#accepted).sort();
    const at = (share: number) => round(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0);
    return {
      messages: this.#accepted,
      seconds: round(seconds),
      startedAt: performance.timeOrigin + this.#startedAt,
      perSecond: round(this.#accepted / seconds),
      latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
      failures: this.#failures,
      tlsResumed: this.#target.resumed,
    };
  }
}

/** What one connection sends as its message: dot-stuffed and ended once, with room for a number that changes. */
class Envelope {
  readonly #bytes: Buffer;
  readonly #numberAt: number;

  constructor({ message, idPrefix }: LoadOptions) {
    const label = idPrefix === undefined ? '' : `X-Bench-Id: ${idPrefix}`;
    const header = idPrefix === undefined ? '' : `${label}${'0'.repeat(ID_DIGITS)}\r\n`;
    this.#bytes = Buffer.concat([Buffer.from(header), stuff(message)]);
    this.#numberAt = Buffer.byteLength(label);
  }

  /** The last one was answered, so its bytes are sent and may be written over. */
  stamp(number: number): Buffer {
    if (this.#numberAt > 0) this.#bytes.write(String(number).padStart(ID_DIGITS, '0'), this.#numberAt, 'latin1');
    return this.#bytes;
  }
}

function takeTurns(auths: Auth[]): () => Auth | undefined {
  let turn = 0;
  return () => auths[turn++ % auths.length];
}

function makeCommands(options: LoadOptions): Commands {
  const { from = 'load@sender.test', to = 'load@receiver.test', recipients = 1 } = options;
  const mail = Buffer.from(`MAIL FROM:<${from}>\r\n`);
  const rcpts = Array.from({ length: recipients }, (_, index) =>
    Buffer.from(`RCPT TO:<${index === 0 ? '' : `${index + 1}.`}${to}>\r\n`),
  );
  const data = Buffer.from('DATA\r\n');
  return { mail, rcpts, data, together: Buffer.concat([mail, ...rcpts, data]) };
}

/** Waits for as many replies as there are codes. When one is wrong and DATA was granted, the session cannot go on. */
async function expectAll(session: LoadSession, codes: string[]): Promise<void> {
  let wrong: LoadFailure | undefined;
  for (const code of codes.slice(0, -1)) {
    await session.expect(code).catch((error: LoadFailure) => (wrong ??= error));
  }
  const granted = await session.expect(codes.at(-1)!).then(
    () => true,
    (error: LoadFailure) => void (wrong ??= error),
  );
  if (wrong) throw new LoadFailure(wrong.message, wrong.fatal || granted === true);
}

function isReset(session: LoadSession): Promise<boolean> {
  return session.ask(RSET, '250').then(
    () => true,
    () => false,
  );
}

function stuff(message: Buffer): Buffer {
  const text = `\r\n${message.toString('latin1')}`.replaceAll('\r\n.', '\r\n..').slice(2);
  return Buffer.from(`${text}${text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1');
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** A plain message of `sizeBytes`, headers included. */
export function makeMessage(sizeBytes: number, from = 'load@sender.test', to = 'load@receiver.test'): Buffer {
  const headers = [
    `From: <${from}>`,
    `To: <${to}>`,
    'Subject: A message of the load generator',
    'Date: Thu, 01 Jan 2026 00:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
  ];
  const head = `${headers.join('\r\n')}\r\n\r\n`;
  const line = `${'The quick brown fox jumps over the lazy dog, and so on. '.repeat(2).slice(0, 76)}\r\n`;
  const whole = head + line.repeat(Math.ceil(sizeBytes / line.length));
  const cut = whole.slice(0, Math.max(sizeBytes - 2, head.length)).replace(/\r$/, '.');
  return Buffer.from(`${cut}\r\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      connections: { type: 'string', default: '20' },
      messages: { type: 'string', default: '10000' },
      size: { type: 'string', default: '4096' },
      mode: { type: 'string', default: 'kept' },
      user: { type: 'string' },
      starttls: { type: 'boolean' },
      recipients: { type: 'string', default: '1' },
      from: { type: 'string' },
      to: { type: 'string' },
      'tls-session-reuse': { type: 'boolean' },
      pipelining: { type: 'boolean' },
      rate: { type: 'string' },
      'id-prefix': { type: 'string' },
    },
  });
  const { port, mode, user } = values;
  if (port === undefined) throw new Error('--port is missing');
  if (mode !== 'kept' && mode !== 'per-message') throw new Error('--mode is kept or per-message');
  const result = await runLoad({
    port: Number(port),
    host: values.host,
    connections: Number(values.connections),
    messages: Number(values.messages),
    message: makeMessage(Number(values.size), values.from, values.to),
    mode,
    auth: user === undefined ? undefined : { user, pass: process.env.LOAD_PASSWORD ?? '' },
    starttls: values.starttls,
    recipients: Number(values.recipients),
    from: values.from,
    to: values.to,
    tlsSessionReuse: values['tls-session-reuse'],
    pipelining: values.pipelining,
    ratePerSecond: values.rate === undefined ? undefined : Number(values.rate),
    idPrefix: values['id-prefix'],
  });
  console.log(JSON.stringify(result));
}

if (process.argv[1]?.endsWith('bench/load.ts')) void main();
