// An SMTP reply as the next hop gave it: a code, perhaps an enhanced code, and words.

import { maskKeys } from '../base/mask.js';

export interface Reply {
  /** Three digits. */
  code: number;
  /** RFC 3463, such as `5.1.1`; undefined when the next hop gave none. */
  enhanced: string | undefined;
  /** The whole reply, lines joined with a space, controls removed, bounded. */
  text: string;
}

const MAX_TEXT = 500;

/** Reads a reply, or undefined when it is not one (RFC 5321 4.2: a code from 2yz to 5yz). */
export function parseReply(raw: string): Reply | undefined {
  const match = /^([2-5]\d\d)(?:[ -]|$)(?:([245]\.\d{1,3}\.\d{1,3})(?= |$))?/.exec(raw);
  if (!match) return undefined;
  return { code: Number(match[1]), enhanced: match[2], text: oneLine(raw) };
}

/** Any text of a foreign server as one printable line of bounded length. */
export function oneLine(raw: string): string {
  const lines = raw.split(/\r?\n/).map((line, index) => (index === 0 ? line : line.replace(/^\d{3}[ -]/, '')));
  return maskKeys(lines.join(' '))
    .replace(/[\u0000-\u001F\u007F-\u009F]/g, ' ')
    .trim()
    .slice(0, MAX_TEXT);
}
