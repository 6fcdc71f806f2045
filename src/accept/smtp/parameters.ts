// MAIL and RCPT as they stand on the line: the path and its parameters (RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2), read
// without changing an octet, and only the parameters of extensions that were offered (4.1.1.11).
import { parseAddress, type Address, type AddressFault } from '../../message/address.js';
import {
  decodeXtext,
  readEnvid,
  readNotify,
  readOrcpt,
  type EnvelopeDsn,
  type RecipientDsn,
} from '../../message/dsn.js';
import { refuse, Refusal, type Reason } from '../../message/refusal.js';
import type { BodyType } from '../../message/envelope.js';

export interface MailCommand {
  /** undefined for the null sender. */
  address: Address | undefined;
  bodyType: BodyType;
  smtpUtf8: boolean;
  /** SIZE=, octets; 0 when it was not given. */
  size: number;
  /** RFC 3461. */
  ret?: EnvelopeDsn['ret'];
  envid?: string;
}

export interface RcptCommand {
  address: Address;
  /** RFC 3461: NOTIFY and ORCPT. */
  dsn: RecipientDsn;
}

/** RFC 4954 3: octets of the value of AUTH=. */
const MAX_AUTH = 500;

type Parameters = Map<string, string | undefined>;

/** A path in angle brackets, where a quoted local part may hold brackets, then parameters. */
const MAIL = /^MAIL FROM: ?<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>(?: +(.*?))? *$/is;
const RCPT = /^RCPT TO: ?<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>(?: +(.*?))? *$/is;
/** RFC 5321 4.1.1.2 and appendix C: a source route in front of an address is ignored. */
const SOURCE_ROUTE = /^@[A-Za-z0-9.-]+(?:,@[A-Za-z0-9.-]+)*:(?=.)/;
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10FFFF}]+))?$/u;

/** @param extended whether the client said EHLO; to HELO no extension was offered, and so no parameter is known. */
export function readMail(line: string, extended = true): MailCommand | Refusal {
  if (!/^MAIL FROM:/i.test(line)) return refuse('bad-arguments', { syntax: 'MAIL FROM:<address> [parameters]' });
  const read = readPath(line, MAIL, 'bad-sender-syntax');
  if (!Array.isArray(read)) return read;
  const [path, parameters] = read;
  if (!extended && parameters.size) return unknownParameter(parameters);
  const flags = mailParameters(parameters);
  if ('reason' in flags) return flags;
  if (path === '') return { ...flags, address: undefined };
  const verdict = parseAddress(path, flags.smtpUtf8);
  return verdict.ok ? { ...flags, address: verdict.address } : refuse(addressReason('sender', verdict.fault));
}

export function readRcpt(line: string, smtpUtf8: boolean, extended = true): RcptCommand | Refusal {
  if (!/^RCPT TO:/i.test(line)) return refuse('bad-arguments', { syntax: 'RCPT TO:<address> [parameters]' });
  const read = readPath(line, RCPT, 'bad-recipient-syntax');
  if (!Array.isArray(read)) return read;
  const [path, parameters] = read;
  if (!extended && parameters.size) return unknownParameter(parameters);
  const dsn = rcptParameters(parameters, smtpUtf8);
  if (dsn instanceof Refusal) return dsn;
  const verdict = parseAddress(path, smtpUtf8);
  return verdict.ok ? { address: verdict.address, dsn } : refuse(addressReason('recipient', verdict.fault));
}

function readPath(line: string, pattern: RegExp, fault: Reason): [string, Parameters] | Refusal {
  const [matched, path, rest] = pattern.exec(line) ?? [];
  if (matched === undefined) return refuse(fault);
  const parameters: Parameters = new Map();
  for (const text of rest?.split(/ +/) ?? []) {
    const [whole, name, value] = PARAMETER.exec(text) ?? [];
    if (whole === undefined) return refuse('bad-parameter', { name: printable(text) });
    const key = name!.toUpperCase();
    if (parameters.has(key)) return refuse('repeated-parameter', { name: key });
    parameters.set(key, value);
  }
  return [path!.replace(SOURCE_ROUTE, ''), parameters];
}

const unknownParameter = (parameters: Parameters): Refusal =>
  refuse('unknown-parameter', { name: parameters.keys().next().value! });

function mailParameters(parameters: Parameters): Omit<MailCommand, 'address'> | Refusal {
  const flags: Omit<MailCommand, 'address'> = { bodyType: '7BIT', smtpUtf8: false, size: 0 };
  for (const [name, value] of parameters) {
    const taken = MAIL_PARAMETERS[name]?.(flags, value);
    if (taken === undefined) return refuse('unknown-parameter', { name });
    if (!taken) return refuse('bad-parameter', { name });
  }
  return flags;
}

/** Each takes its value, undefined without one, and says whether it is right. */
const MAIL_PARAMETERS: Record<string, (flags: Omit<MailCommand, 'address'>, value: string | undefined) => boolean> = {
  SIZE: (flags, value) => {
    flags.size = Number(value);
    return /^\d{1,20}$/.test(value ?? '');
  },
  BODY: (flags, value) => {
    flags.bodyType = value?.toUpperCase() as BodyType;
    return /^(7BIT|8BITMIME)$/i.test(value ?? '');
  },
  SMTPUTF8: (flags, value) => (flags.smtpUtf8 = value === undefined),
  RET: (flags, value) => {
    flags.ret = value?.toUpperCase() as EnvelopeDsn['ret'];
    return /^(FULL|HDRS)$/i.test(value ?? '');
  },
  // RFC 4954 5: taken from everybody, and not passed on, for it vouches for somebody we do not know.
  AUTH: (flags, value) => value === '<>' || isXtextMailbox(value ?? '', flags.smtpUtf8),
  ENVID: (flags, value) => (flags.envid = readEnvid(value ?? '')) !== undefined && value !== undefined,
};

/** RFC 4954 5, the value of AUTH=: an address as xtext. */
function isXtextMailbox(value: string, smtpUtf8: boolean): boolean {
  const text = value.length <= MAX_AUTH ? decodeXtext(value) : undefined;
  if (!text?.includes('@')) return false;
  const verdict = parseAddress(text, smtpUtf8);
  return verdict.ok || verdict.fault === 'unqualified-domain' || verdict.fault === 'address-literal';
}

function rcptParameters(parameters: Parameters, smtpUtf8: boolean): RecipientDsn | Refusal {
  const dsn: RecipientDsn = {};
  for (const [name, value] of parameters) {
    if (name === 'NOTIFY') {
      const notify = readNotify(value ?? '');
      if (!notify) return refuse('bad-parameter', { name });
      dsn.notify = notify;
    } else if (name === 'ORCPT') {
      const orcpt = readOrcpt(value ?? '', smtpUtf8);
      if (!orcpt) return refuse('bad-parameter', { name });
      dsn.orcpt = orcpt;
    } else return refuse('unknown-parameter', { name });
  }
  return dsn;
}

function addressReason(which: 'sender' | 'recipient', fault: AddressFault): Reason {
  switch (fault) {
    case 'non-ascii':
      return 'non-ascii-address';
    case 'address-literal':
    case 'unqualified-domain':
      return `bad-${which}-domain`;
    case 'malformed':
    case 'too-long':
      return `bad-${which}-syntax`;
  }
}

const printable = (text: string): string => text.replace(/[^!-~]/g, '?').slice(0, 40);
