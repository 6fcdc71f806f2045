// The applications: each submits message after message, on connections that it keeps for a while or not, with and
// without TLS, and writes down what it was told. No message is ever sent twice, so that whatever arrives twice is the
// server's doing.
import { setTimeout } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { within } from '../../src/base/deadline.js';
import { LoadFailure, LoadSession, type Auth, type LoadTarget } from '../support/load-session.js';
import { digestOf, type Fate, type Ledger, type Submitted } from './ledger.js';
import { SeededRandom } from './random.js';

export interface ClientSettings {
  port: number;
  auth: Auth;
  /** Connections at the same time. */
  clients: number;
  seed: number;
  round: number;
  maxMessageBytes: number;
}

interface Drawn {
  entry: Submitted;
  octets: Buffer;
  /** The client hangs up in the middle. */
  isCutOff: boolean;
}

/** Longer than any fault lasts: who waits so long waits for ever. */
const HANG_MS = 30_000;
const LINE = `${'All work and no play makes Jack a dull boy. '.repeat(2).slice(0, 76)}\r\n`;

/** Submits until `over`. */
export async function submitUntil(over: AbortSignal, settings: ClientSettings, ledger: Ledger): Promise<void> {
  const clients = Array.from({ length: settings.clients }, (_none, number) => new Client(number, settings, ledger));
  await Promise.all(clients.map((client) => client.run(over)));
}

class Client {
  readonly #random: SeededRandom;
  readonly #target: LoadTarget;
  #session: LoadSession | undefined;
  #left = 0;
  #count = 0;

  constructor(
    private readonly number: number,
    private readonly settings: ClientSettings,
    private readonly ledger: Ledger,
  ) {
    const { seed, round, port, auth } = settings;
    this.#random = new SeededRandom(seed, 'client', round, number);
    const tls = number % 5 === 4 ? createSecureContext() : undefined;
    this.#target = {
      host: '127.0.0.1',
      port,
      tls,
      auth: () => auth,
      ticket: undefined,
      reuseTickets: true,
      resumed: 0,
    };
  }

  async run(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const session = await this.#connected();
      if (session) await this.#submit(session, this.#draw());
      await setTimeout(session ? this.#random.between(2, 20) : 25);
    }
    await this.#session?.quit();
  }

  async #connected(): Promise<LoadSession | undefined> {
    if (this.#session && this.#left-- > 0) return this.#session;
    await this.#session?.quit();
    this.#session = undefined;
    this.#left = this.#random.pick([0, 0, 3, 50]);
    try {
      this.#session = await this.#patiently('a login', LoadSession.open(this.#target));
    } catch (error) {
      this.#complainOf(error, 'a login');
    }
    return this.#session;
  }

  #draw(): Drawn {
    const { round, maxMessageBytes } = this.settings;
    const random = this.#random;
    const id = `${round}-${this.number}-${++this.#count}`;
    const kind = random.next();
    const [least, most] = random.pick([
      ...Array<[number, number]>(6).fill([200, 4000]),
      [20_000, 90_000],
      [280_000, 900_000],
    ]);
    const size = kind < 0.02 ? maxMessageBytes + 1 : random.between(least, most);
    const to = Array.from({ length: random.pick([1, 1, 1, 2, 4]) }, (_none, at) => `${at}.${id}@receiver.test`);
    if (random.chance(0.05)) to.push(`nobody.${id}@receiver.test`);
    const octets = messageOf(id, to, size, kind >= 0.02 && kind < 0.04);
    const entry: Submitted = {
      ...{ id, from: `${id}@sender.test`, to, size: octets.length, digest: digestOf(octets) },
      ...{ isBad: kind < 0.04, fate: 'unfinished', reply: '' },
    };
    this.ledger.submitted.push(entry);
    return { entry, octets, isCutOff: kind > 0.98 };
  }

  async #submit(session: LoadSession, { entry, octets, isCutOff }: Drawn): Promise<void> {
    try {
      await this.#patiently(entry.id, this.#transact(session, entry, octets, isCutOff));
      entry.fate = 'accepted';
      if (entry.isBad) this.ledger.complaints.push(`${entry.id}: a message that must be refused was answered 250`);
    } catch (error) {
      const { message } = error as Error;
      entry.reply = message;
      entry.fate = fateAfter(message, entry.fate);
      if (entry.fate === 'permanent' && !entry.isBad) this.#complainOf(error, entry.id);
      session.close();
      this.#session = undefined;
    }
  }

  /** `fate` says `unanswered` as soon as the whole message was handed to the connection. */
  async #transact(session: LoadSession, entry: Submitted, octets: Buffer, isCutOff: boolean): Promise<void> {
    await session.ask(Buffer.from(`MAIL FROM:<${entry.from}>\r\n`), '250');
    for (const to of entry.to) await session.ask(Buffer.from(`RCPT TO:<${to}>\r\n`), '250');
    await session.ask(Buffer.from('DATA\r\n'), '354');
    if (isCutOff) {
      session.send(octets.subarray(0, octets.length >> 1));
      throw new LoadFailure('the client hung up in the middle of the message', true);
    }
    entry.fate = 'unanswered';
    await session.ask(Buffer.concat([octets, Buffer.from('.\r\n')]), '250');
  }

  #patiently<T>(what: string, work: Promise<T>): Promise<T> {
    return within(HANG_MS, what, work);
  }

  /** Connections end and temporary replies come while there are faults; anything else is worth a complaint. */
  #complainOf(error: unknown, what: string): void {
    const { name, message } = error as Error;
    if (name === 'DeadlineError') this.ledger.complaints.push(`${what}: no answer in ${HANG_MS / 1000} s`);
    else if (/^5\d\d/.test(message)) this.ledger.complaints.push(`${what}: answered ${message}`);
  }
}

function fateAfter(reply: string, before: Fate): Fate {
  if (/^5\d\d/.test(reply)) return 'permanent';
  if (/^4\d\d/.test(reply)) return before === 'unanswered' ? 'temporary' : 'unfinished';
  return before;
}

/** Of about `size` octets; no line begins with a dot. */
function messageOf(id: string, to: string[], size: number, hasNul: boolean): Buffer {
  const head = [`From: <${id}@sender.test>`, `To: ${to.map((address) => `<${address}>`).join(',\r\n ')}`];
  const fields = [
    ...head,
    `Subject: chaos ${id}`,
    `Message-ID: <${id}@sender.test>`,
    'Date: Thu, 01 Jan 2026 00:00:00 +0000',
  ];
  const text = `${fields.join('\r\n')}\r\n\r\n${id}${hasNul ? '\0' : ''}\r\n`;
  const lines = Math.max(0, Math.ceil((size - text.length) / LINE.length));
  return Buffer.from(text + LINE.repeat(lines), 'latin1');
}
