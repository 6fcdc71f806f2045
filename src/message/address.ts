// The strict address grammar of RFC 5321 4.1.2, with RFC 6531 for UTF-8. What passes here means one mailbox
// to every reader: no second parser downstream can find another address in it.
// The octets of an address are kept as the client sent them.

export interface Address {
  /** As sent, without angle brackets. */
  text: string;
  /** The local part as sent, quotes included. */
  local: string;
  /** The domain in lower case, for comparing and routing. */
  domain: string;
}

export type AddressFault = 'malformed' | 'non-ascii' | 'address-literal' | 'unqualified-domain' | 'too-long';

export type AddressVerdict = { ok: true; address: Address } | { ok: false; fault: AddressFault };

const ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\u{10FFFF}-]+";
const DOT_STRING = new RegExp(`^${ATEXT}(?:\\.${ATEXT})*$`, 'u');
/** Quoted-string: printable ASCII and UTF-8, with `"` and `\` escaped. */
const QUOTED = /^"(?:[ !#-[\]-~\u0080-\u{10FFFF}]|\\[ -~])*"$/u;
const LABEL = /^[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}\u00B7\u30FB\u200C\u200D-]*[\p{L}\p{M}\p{N}])?$/u;
/** Controls, and the invisible characters that make two addresses look alike. */

const UNSAFE = /[\u0000-\u001F\u007F-\u009F\u200B\u200E\u200F\u2028-\u202E\u2060-\u2069\uFEFF\uFFFD]/;

/** RFC 5321 4.5.3.1: octets of a local part, a domain and a label. */
const MAX_LOCAL_OCTETS = 64;
const MAX_DOMAIN_OCTETS = 255;
const MAX_LABEL_OCTETS = 63;
const MAX_PATH_OCTETS = 254;

/**
 * Judges the text between the angle brackets of MAIL or RCPT (never the null sender '', which callers treat apart).
 * @param allowUtf8 whether the transaction asked for SMTPUTF8.
 */
export function parseAddress(text: string, allowUtf8: boolean): AddressVerdict {
  const at = text.lastIndexOf('@');
  if (UNSAFE.test(text)) return { ok: false, fault: 'malformed' };
  if (at < 0 && isLocalPart(text)) return { ok: false, fault: 'unqualified-domain' };
  if (at <= 0) return { ok: false, fault: 'malformed' };
  const local = text.slice(0, at);
  const domain = text.slice(at + 1);
  if (!isLocalPart(local)) return { ok: false, fault: 'malformed' };
  const fault = lengthFault(text, local) ?? domainFault(domain);
  if (fault) return { ok: false, fault };
  if (!allowUtf8 && !isAscii(text)) return { ok: false, fault: 'non-ascii' };
  return { ok: true, address: { text, local, domain: domain.toLowerCase() } };
}

const isLocalPart = (text: string): boolean => DOT_STRING.test(text) || QUOTED.test(text);

/** Whether every character is ASCII. */
function isAscii(text: string): boolean {
  return /^[\x00-\x7F]*$/.test(text);
}

function lengthFault(text: string, local: string): AddressFault | undefined {
  const tooLong = Buffer.byteLength(local) > MAX_LOCAL_OCTETS || Buffer.byteLength(text) > MAX_PATH_OCTETS;
  return tooLong ? 'too-long' : undefined;
}

/** Fully qualified, no literal, last label not a number (RFC 6409 6.1 and 6.2 let a submission server insist). */
function domainFault(domain: string): AddressFault | undefined {
  if (domain.startsWith('[')) return domain.endsWith(']') ? 'address-literal' : 'malformed';
  if (Buffer.byteLength(domain) > MAX_DOMAIN_OCTETS) return 'too-long';
  const labels = domain.split('.');
  if (!labels.every((label) => LABEL.test(label))) return 'malformed';
  if (labels.some((label) => Buffer.byteLength(label) > MAX_LABEL_OCTETS)) return 'too-long';
  if (labels.length < 2) return 'unqualified-domain';
  return /^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1)!) ? 'address-literal' : undefined;
}
