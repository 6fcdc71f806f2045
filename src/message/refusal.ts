// The one table of refusals: a reason, and what it is on SMTP and over HTTP. Promise: a client never reads
// anything but these texts, every temporary fault has a temporary code, and the two doors cannot differ.
// docs/refusals.md lists the same rows; a test holds the two equal.

export interface RefusalRow {
  /** SMTP reply code (RFC 5321 4.2). */
  code: number;
  /** Enhanced status code (RFC 3463, 5248). */
  enhanced: string;
  /** The public text; `{name}` is filled in from the refusal's details. */
  text: string;
  /** Status of the HTTP answer. */
  http: number;
}

const row = (code: number, enhanced: string, text: string, http: number): RefusalRow => ({
  code,
  enhanced,
  text,
  http,
});

const BAD_LOGIN = 'Authentication failed: Bad username / password';
const BAD_KEY = 'Authentication failed: The provided authorization grant is invalid, expired, or revoked';
const BAD_SENDER =
  'The from address does not match a verified Sender Identity. ' +
  'Mail cannot be sent until this error is resolved: this key may not send as {address}';

export const refusals = {
  'bad-credentials': row(535, '5.7.8', BAD_LOGIN, 401),
  'bad-key': row(535, '5.7.8', BAD_KEY, 401),
  'no-send-scope': row(535, '5.7.8', 'Authentication failed: Authenticated user is not authorized to send mail', 401),
  'auth-unavailable': row(454, '4.7.0', 'Temporary authentication failure', 503),
  'auth-needs-tls': row(538, '5.7.11', 'Encryption required for requested authentication mechanism', 403),
  'auth-required': row(530, '5.7.0', 'Authentication required', 401),
  'auth-already': row(503, '5.5.1', 'Already authenticated', 400),
  'auth-mechanism': row(504, '5.5.4', 'Unrecognized authentication mechanism, use PLAIN or LOGIN', 400),
  'auth-syntax': row(501, '5.5.2', 'Cannot decode the authentication response', 400),
  'auth-line-too-long': row(500, '5.5.6', 'Authentication exchange line is too long', 400),
  'auth-cancelled': row(501, '5.7.0', 'Authentication cancelled', 400),
  'too-many-auth-failures': row(421, '4.7.0', 'Too many failed authentication attempts', 429),
  'too-many-failed-logins': row(
    421,
    '4.7.0',
    'Too many failed logins from your network, try again in {seconds} seconds',
    429,
  ),
  'key-revoked': row(421, '4.7.0', 'The key of this session is no longer valid', 401),

  'sender-not-allowed': row(550, '5.7.1', BAD_SENDER, 403),
  'recipient-not-allowed': row(550, '5.7.1', 'This key may not send to {address}', 403),
  'tls-required': row(530, '5.7.0', 'This key requires TLS: issue STARTTLS first', 403),
  'rate-limited': row(450, '4.7.1', 'Rate limit of this key exceeded, try again in {seconds} seconds', 429),
  'quota-exhausted': row(451, '4.7.1', 'Quota of this key exhausted, try again in {seconds} seconds', 401),

  'bad-sender-syntax': row(501, '5.1.7', 'Bad sender address syntax', 400),
  'bad-sender-domain': row(501, '5.1.7', 'Bad sender address: a fully qualified domain name is required', 400),
  'bad-recipient-syntax': row(501, '5.1.3', 'Bad recipient address syntax', 400),
  'bad-recipient-domain': row(501, '5.1.3', 'Bad recipient address: a fully qualified domain name is required', 400),
  'non-ascii-address': row(553, '5.6.7', 'Non-ASCII address needs SMTPUTF8', 400),
  'bad-parameter': row(501, '5.5.4', 'Bad value of parameter {name}', 400),
  'unknown-parameter': row(555, '5.5.4', 'Parameter not recognized or not implemented: {name}', 400),
  'repeated-parameter': row(501, '5.5.4', 'Parameter given twice: {name}', 400),
  'too-many-recipients': row(452, '4.5.3', 'Too many recipients, at most {limit} in one message', 400),
  'too-big': row(552, '5.3.4', 'Message exceeds the maximum size of {limit} bytes', 413),

  'bare-newline': row(550, '5.6.11', 'Bare CR or LF in the message', 400),
  'nul-in-message': row(554, '5.6.0', 'NUL in the message', 400),
  'header-too-big': row(554, '5.6.0', 'Header block exceeds {limit} bytes or fields', 400),
  'mail-loop': row(554, '5.4.6', 'Too many hops: more than 100 Received fields', 400),

  'storage-full': row(452, '4.3.1', 'Insufficient system storage, try again later', 503),
  'storage-away': row(451, '4.3.0', 'Temporary server error, try again later', 503),
  'internal-error': row(451, '4.3.0', 'Temporary server error, try again later', 500),

  'shutting-down': row(421, '4.3.2', 'Service shutting down', 503),
  'idle-too-long': row(421, '4.4.2', 'Timeout, closing the connection', 408),
  'login-too-slow': row(421, '4.7.0', 'No authentication within {limit} seconds', 408),
  'transaction-too-slow': row(421, '4.4.2', 'Transaction not complete within {limit} seconds', 408),
  'data-too-slow': row(421, '4.4.2', 'Message not received within {limit} seconds', 408),
  'client-gone': row(421, '4.4.2', 'The connection was lost before the message was complete', 400),
  'too-many-connections': row(421, '4.7.0', 'Too many connections, try again later', 429),
  'too-many-connections-from-address': row(421, '4.7.0', 'Too many connections from your address', 429),
  'too-many-errors': row(421, '4.7.0', 'Too many errors', 429),
  'too-many-commands': row(421, '4.7.0', 'More than {limit} commands without a message', 429),
  'too-many-messages': row(421, '4.7.0', 'At most {limit} messages on one connection, please connect again', 429),
  'not-smtp': row(421, '4.7.0', 'This is SMTP, not HTTP', 400),
  'talked-too-soon': row(421, '4.7.0', 'You talk too soon', 400),

  'unknown-command': row(500, '5.5.2', 'Command not recognized', 400),
  'control-in-command': row(501, '5.5.2', 'Control character in a command', 400),
  'command-not-implemented': row(502, '5.5.1', 'Command not implemented', 400),
  'line-too-long': row(500, '5.5.2', 'Line too long', 400),
  'bad-line-ending': row(421, '4.7.0', 'Commands end with CRLF, without bare CR, bare LF or NUL', 400),
  'bad-arguments': row(501, '5.5.4', 'Syntax: {syntax}', 400),
  'hello-first': row(503, '5.5.1', 'Send EHLO first', 400),
  'mail-first': row(503, '5.5.1', 'Need MAIL first', 400),
  'nested-mail': row(503, '5.5.1', 'Sender already given', 400),
  'recipient-first': row(503, '5.5.1', 'Need RCPT first', 400),
  'tls-active': row(503, '5.5.1', 'TLS already active', 400),
} as const satisfies Record<string, RefusalRow>;

export type Reason = keyof typeof refusals;

type Details = Record<string, string | number>;

/** Why something was refused, with the details that its text names. */
export class Refusal {
  constructor(
    readonly reason: Reason,
    readonly details: Details = {},
  ) {}

  get row(): RefusalRow {
    return refusals[this.reason];
  }

  /** The public text. */
  get text(): string {
    return this.row.text.replace(/\{(\w+)\}/g, (_all, name: string) => String(this.details[name] ?? ''));
  }

  get isPermanent(): boolean {
    return this.row.code >= 500;
  }
}

export const refuse = (reason: Reason, details?: Details): Refusal => new Refusal(reason, details);
