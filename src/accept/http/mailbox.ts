// An address as an API client gives it. A domain in other letters is written the way DNS has it, so that no next hop
// needs SMTPUTF8; a local part in other letters is refused, as SendGrid does.
import { domainToASCII } from 'node:url';
import { parseAddress } from '../../message/address.js';

const ASCII = /^[\x20-\x7E]*$/;

/** @returns the address as it goes into the envelope, or undefined when it is none. Blanks around it are left out. */
export function readMailbox(text: string): string | undefined {
  const trimmed = text.trim();
  const verdict = parseAddress(trimmed, true);
  if (!verdict.ok || !ASCII.test(verdict.address.local)) return undefined;
  if (ASCII.test(trimmed)) return trimmed;
  const ascii = `${verdict.address.local}@${domainToASCII(verdict.address.domain)}`;
  return parseAddress(ascii, false).ok ? ascii : undefined;
}
