// What a client asks about delivery reports (RFC 3461, the DSN extension): RET and ENVID for the message, NOTIFY and
// ORCPT for a recipient. Promise: a value that was read here can stand in a header field and in an SMTP command as it
// is; nothing with a control character gets through.

export const REPORT_KINDS = ['SUCCESS', 'FAILURE', 'DELAY'] as const;
export type ReportKind = (typeof REPORT_KINDS)[number];
/** `[]` is NOTIFY=NEVER. */
export type Notify = ReportKind[];

/** RFC 3461 4.2: the address as the sender knew it. */
export interface OriginalRecipient {
  /** `rfc822`, `utf-8`, ... */
  type: string;
  /** Decoded, printable ASCII. */
  address: string;
}

export interface RecipientDsn {
  notify?: Notify;
  orcpt?: OriginalRecipient;
}

export interface EnvelopeDsn {
  ret?: 'FULL' | 'HDRS';
  /** Decoded, printable ASCII. */
  envid?: string;
  /** By index of the recipient in the envelope; those without wishes are left out. */
  recipients: Record<number, RecipientDsn>;
}

/** RFC 3461 4.1: without NOTIFY the sender hears of failures, and may hear of delays. */
const USUAL: Notify = ['FAILURE', 'DELAY'];

/** RFC 3461 4.4 and 4.2: octets of the value as it stands in the command. */
const MAX_ENVID = 100;
const MAX_ORCPT = 500;

const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/;
const PRINTABLE = /^[ -~]*$/;
/** RFC 5321 Atom, as RFC 3461 wants for an address type. */
const ATOM = /^[A-Za-z0-9!#$%&'*/=?^_`{|}~-]+$/;

/** Whether the sender of an envelope wants to hear `what` of the recipient at `index`. */
export function wantsReport(dsn: EnvelopeDsn | undefined, index: number, what: ReportKind): boolean {
  return (dsn?.recipients[index]?.notify ?? USUAL).includes(what);
}

/** The value of NOTIFY=, or undefined when it is none (RFC 3461 4.1: NEVER stands alone, nothing twice). */
export function readNotify(value: string): Notify | undefined {
  const words = value.toUpperCase().split(',');
  if (words.length === 1 && words[0] === 'NEVER') return [];
  const known = words.filter((word): word is ReportKind => (REPORT_KINDS as readonly string[]).includes(word));
  return known.length === words.length && new Set(words).size === words.length ? known : undefined;
}

/** The value of ENVID=, decoded, or undefined when it is none. */
export function readEnvid(value: string): string | undefined {
  return value.length <= MAX_ENVID ? decodeXtext(value) : undefined;
}

/**
 * The value of ORCPT=, or undefined when it is none. An address of type utf-8 may hold other characters where the
 * client asked for SMTPUTF8; they are kept in the form that needs no such promise (RFC 6533 3, \x{...}).
 */
export function readOrcpt(value: string, smtpUtf8: boolean): OriginalRecipient | undefined {
  if (Buffer.byteLength(value) > MAX_ORCPT) return undefined;
  const at = value.indexOf(';');
  const type = value.slice(0, Math.max(at, 0));
  if (!ATOM.test(type)) return undefined;
  const raw = value.slice(at + 1);
  const isUtf8 = smtpUtf8 && type.toLowerCase() === 'utf-8';
  const address = decodeXtext(isUtf8 ? embedUnicode(raw) : raw);
  return address ? { type, address } : undefined;
}

/** RFC 3461 4: a decoded value as it may stand in a command. */
function encodeXtext(text: string): string {
  return text.replace(/[^!-*,-<>-~]/g, (char) => `+${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** Parameters of RCPT for a next hop that offers DSN, with a leading space; '' when there is none. */
export function rcptArguments({ notify, orcpt }: RecipientDsn): string {
  const wishes = notify && ` NOTIFY=${notify.length ? notify.join(',') : 'NEVER'}`;
  const origin = orcpt && ` ORCPT=${orcpt.type};${encodeXtext(orcpt.address)}`;
  return (wishes ?? '') + (origin ?? '');
}

/** RFC 3461 4: the decoded value, or undefined when it is no xtext of printable ASCII. */
export function decodeXtext(value: string): string | undefined {
  if (!XTEXT.test(value)) return undefined;
  const text = value.replace(/\+([0-9A-F]{2})/g, (_hex, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  return PRINTABLE.test(text) ? text : undefined;
}

function embedUnicode(text: string): string {
  return text.replace(/[\u0080-\u{10FFFF}]/gu, (char) => `\\x{${char.codePointAt(0)!.toString(16).toUpperCase()}}`);
}
