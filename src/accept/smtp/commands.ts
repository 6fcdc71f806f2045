// The commands of SMTP: what a line must be before it is looked into, and who handles which verb.
import { refuse, type Refusal } from '../../message/refusal.js';

/** What the commands need of a session. */
export interface CommandSession {
  readonly transaction: {
    mail(line: string): void | Promise<void>;
    rcpt(line: string): void | Promise<void>;
    data(): void | Promise<void>;
  };
  hello(name: string, extended: boolean): void;
  startTls(): void;
  startAuth(args: string): void | Promise<void>;
  respondToChallenge(line: string): void | Promise<void>;
  reset(): void;
  verify(name: string): void;
  quit(): void;
  reply(code: number, enhanced: string, text: string): void;
  refuse(refusal: Refusal): void;
}

/** @param line without its line end. @param args what stands behind the verb. */
export type Handler = (session: CommandSession, line: string, args: string) => void | Promise<void>;

/** RFC 5321 4.5.3.1.4: octets of a command without its CRLF; those of MAIL and RCPT may carry parameters (4.1.1.11). */
const MAX_COMMAND = 510;
const MAX_COMMAND_WITH_PARAMETERS = 2048;
/** A page in a browser can make it talk to any port (cross-protocol scripting). */
const HTTP_REQUEST = /^[A-Z]+ \S+ HTTP\/\d/i;
const CONTROL = /[\u0000-\u001F\u007F]/;

/** What is wrong with a command before it is looked into. @param octets of the line. */
export function lineRefusal(line: string, verb: string, octets: number): Refusal | undefined {
  if (HTTP_REQUEST.test(line)) return refuse('not-smtp');
  if (!Object.hasOwn(commands, verb)) return refuse('unknown-command');
  if (octets > maxOctets(verb)) return refuse('line-too-long');
  return CONTROL.test(line) ? refuse('control-in-command') : undefined;
}

/** A command that takes no argument. */
const bare =
  (syntax: string, handler: Handler): Handler =>
  (session, line, args) =>
    args ? session.refuse(refuse('bad-arguments', { syntax })) : handler(session, line, args);

export const commands: Record<string, Handler> = {
  EHLO: (session, _line, args) => session.hello(args, true),
  HELO: (session, _line, args) => session.hello(args, false),
  STARTTLS: bare('STARTTLS', (session) => session.startTls()),
  AUTH: (session, _line, args) => session.startAuth(args),
  MAIL: (session, line) => session.transaction.mail(line),
  RCPT: (session, line) => session.transaction.rcpt(line),
  DATA: bare('DATA', (session) => session.transaction.data()),
  RSET: bare('RSET', (session) => session.reset()),
  NOOP: (session) => session.reply(250, '2.0.0', 'Ok'),
  QUIT: bare('QUIT', (session) => session.quit()),
  HELP: (session) => session.reply(214, '2.0.0', 'Postern: AUTH with user name apikey and the API key as password'),
  VRFY: (session, _line, args) => session.verify(args),
  EXPN: (session) => session.refuse(refuse('command-not-implemented')),
};

/** In capitals; of ASCII letters alone, as others have them for capitals too. */
export function verbOf(line: string): string {
  const word = line.split(' ', 1)[0]!;
  return /^[A-Za-z]{4,8}$/.test(word) ? word.toUpperCase() : '';
}

function maxOctets(verb: string): number {
  if (verb === 'AUTH') return Infinity;
  return verb === 'MAIL' || verb === 'RCPT' ? MAX_COMMAND_WITH_PARAMETERS : MAX_COMMAND;
}

/** RFC 5321 4.1.1: white space in front of the CRLF is tolerated. */
export function withoutTrailingBlanks(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ' || line[end - 1] === '\t') end--;
  return line.slice(0, end);
}
