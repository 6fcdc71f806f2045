// Takes down what is said in one session, for `postern sessions`. Nothing waits for it, and what a client says in AUTH
// does not get here. Without a sink it does nothing.
import { describeCredentials } from '../../authenticate/login-words.js';
import type { Credentials } from '../../authenticate/sasl.js';
import { redact, commandText, TranscriptLines } from '../../report/transcript.js';
import type { TranscriptSink } from '../../report/transcript-sink.js';
import type { Clock } from '../../base/clock.js';

export interface Recording {
  sink: TranscriptSink;
  /** Of keys. */
  keyPrefix: string;
}

/** What the session itself knows at its end. */
interface EndFacts {
  id: string;
  client: string;
  listener: 'smtp' | 'smtps';
  tls: string;
  /** It ended in the handshake of STARTTLS. */
  inHandshake: boolean;
}

export class SessionRecorder {
  readonly #startedAt: number;
  readonly #lines: TranscriptLines;
  #recording: Recording | undefined;
  #helo = '';
  #keyId: string | undefined;
  #login = '';
  #failedLogins = 0;
  #refusals = 0;
  #lastRefusal = '';

  constructor(
    recording: Recording | undefined,
    private readonly clock: Clock,
  ) {
    this.#recording = recording;
    this.#startedAt = clock.now();
    this.#lines = new TranscriptLines(this.#startedAt);
  }

  /** @param inAuth it answers a challenge. */
  command(line: string, inAuth: boolean): void {
    if (!this.#recording) return;
    if (!inAuth && /^(EHLO|HELO) /i.test(line)) this.#helo = line.slice(5).trim();
    this.#add(`C: ${!inAuth ? commandText(line) : line === '*' ? '*' : '[redacted]'}`);
  }

  reply(code: number, enhanced: string, text: string | string[]): void {
    if (!this.#recording) return;
    const [first = '', ...more] = typeof text === 'string' ? [text] : text;
    this.#add(`S: ${code} ${enhanced && `${enhanced} `}${first}${more.length ? ` (+${more.length} lines)` : ''}`);
  }

  refused(reason: string): void {
    this.#refusals++;
    this.#lastRefusal = reason;
  }

  /** Octets of a message. */
  data(octets: number): void {
    this.#add(`C: [${octets} octets]`);
  }

  /** Something that was not said. */
  remark(text: string): void {
    this.#add(`-- ${text}`);
  }

  /** @param credentials where they could be read, for a description. */
  loginFailed(verdict: string, keyId: string | undefined, credentials?: Credentials): void {
    this.#login = verdict;
    this.#failedLogins++;
    this.#keyId = keyId ?? this.#keyId;
    if (!this.#recording) return;
    if (credentials) describeCredentials(credentials, this.#recording.keyPrefix).forEach((text) => this.remark(text));
    this.remark(`login refused: ${verdict}`);
  }

  loggedIn(keyId: string): void {
    this.#login = 'valid';
    this.#keyId = keyId;
  }

  /** Hands the session over, once. One that neither logged in nor went wrong after EHLO is nobody's question. */
  end({ inHandshake, ...facts }: EndFacts): void {
    const recording = this.#recording;
    if (inHandshake) {
      this.remark('the client left during the TLS handshake');
      this.refused('tls-handshake');
    }
    this.#recording = undefined;
    const login = this.#login || this.#lastRefusal;
    if (!recording || !login || (!this.#login && !this.#helo)) return;
    const counts = { failedLogins: this.#failedLogins, refusals: this.#refusals };
    const key = this.#keyId === undefined ? {} : { keyId: this.#keyId };
    const times = { startedAt: this.#startedAt, endedAt: this.clock.now() };
    const helo = redact(this.#helo);
    recording.sink.offer({ ...facts, ...times, ...key, ...counts, helo, login }, () => this.#lines.finish());
  }

  #add(text: string): void {
    if (this.#recording) this.#lines.add(this.clock.now(), text);
  }
}
