// What was said in an SMTP session, for the question why a client cannot log in: shape, redaction and bounds.
// Promise: nothing of what a client says in AUTH, or in a line that is no command, is in a transcript, nor anything that
// looks like a key or like one in base64; no character can steer a terminal; a transcript is 60 short lines at most.
import { maskKeys } from '../base/mask.js';

export interface TranscriptLine {
  /** Milliseconds since the session began. */
  at: number;
  /** `C: ` what the client said, `S: ` what it was answered, `-- ` a remark. */
  text: string;
}

export interface Transcript {
  id: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  endedAt: number;
  client: string;
  listener: 'smtp' | 'smtps';
  /** Version and cipher, '' in the clear. */
  tls: string;
  helo: string;
  keyId?: string;
  /** `valid`, the verdict of the last AUTH, or the last refusal of a session that came to none. */
  login: string;
  failedLogins: number;
  refusals: number;
  lines: TranscriptLine[];
  /** Lines left out before the last ones. */
  omitted: number;
}

const FIRST_LINES = 40;
const LAST_LINES = 20;
const MAX_LINE = 200;
/** What is kept of a line until it is redacted: more than is shown, so that no key is cut before it is seen. */
const MAX_RAW = 1000;
/** A key that was cut off. */
const CUT_KEY = /(?<![A-Za-z0-9_-])([A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]+/g;
/** Base64, or a part of a key. Names of machines are as long, but in small letters. */
const LONG_RUN = /[A-Za-z0-9+/=_-]{32,}/g;
const SMALL = /^[a-z0-9-]+$/;

const MECHANISM = /^(PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|EXTERNAL|XOAUTH2|OAUTHBEARER|SCRAM-SHA-\d+)( |$)/i;
const TOLD_IN_FULL = /^(EHLO|HELO|MAIL FROM:|RCPT TO:)/i;
const VERB = /^(STARTTLS|DATA|RSET|NOOP|QUIT|HELP|VRFY|EXPN|MAIL|RCPT)( |$)/i;

/** A text without keys, controls and excess. */
export function redact(text: string): string {
  const masked = maskKeys(text)
    .replace(CUT_KEY, '$1.[secret]')
    .replace(LONG_RUN, (run) => (SMALL.test(run) ? run : `[${run.length} characters]`))
    .replace(/\p{C}/gu, '?');
  return masked.length > MAX_LINE ? `${masked.slice(0, MAX_LINE - 1)}…` : masked;
}

/** A command as it may be told. Credentials that come at the wrong time, or a message, are no command. */
export function commandText(line: string): string {
  if (TOLD_IN_FULL.test(line)) return line;
  if (/^AUTH( |$)/i.test(line)) return authText(line.slice(4).trimStart());
  const verb = VERB.exec(line)?.[1];
  if (verb === undefined) return `[not a command, ${line.length} characters]`;
  return line.length > verb.length ? `${verb} [${line.length - verb.length - 1} characters]` : verb;
}

function authText(args: string): string {
  const mechanism = MECHANISM.exec(args)?.[1];
  if (mechanism === undefined) return args ? 'AUTH [redacted]' : 'AUTH';
  return args.length > mechanism.length ? `AUTH ${mechanism} [redacted]` : `AUTH ${mechanism}`;
}

/** The first lines of a session and the last ones. Cheap: redaction comes with `finish`, for those that are kept. */
export class TranscriptLines {
  readonly #first: TranscriptLine[] = [];
  readonly #last: TranscriptLine[] = [];
  #omitted = 0;

  constructor(private readonly startedAt: number) {}

  add(now: number, text: string): void {
    const line = { at: now - this.startedAt, text: text.slice(0, MAX_RAW) };
    if (this.#first.length < FIRST_LINES) return void this.#first.push(line);
    if (this.#last.push(line) <= LAST_LINES) return;
    this.#last.shift();
    this.#omitted++;
  }

  finish(): Pick<Transcript, 'lines' | 'omitted'> {
    const lines = [...this.#first, ...this.#last].map(({ at, text }) => ({ at, text: redact(text) }));
    return { lines, omitted: this.#omitted };
  }

  /** How many lines stand before the ones that were left out. */
  static readonly FIRST = FIRST_LINES;
}

/** Whether a login was refused, or never came about. */
export const hasFailed = ({ login, failedLogins }: Pick<Transcript, 'login' | 'failedLogins'>): boolean =>
  login !== 'valid' || failedLogins > 0;
