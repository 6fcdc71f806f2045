// Reads the header block of a message and nothing behind it, in one pass over the octets, without a MIME parser.
// Promise: linear in the size of the block, bounded by the caller, and never changes an octet.

export interface HeaderField {
  /** In lower case. */
  name: string;
  /** Offsets into the block: the whole field, its line end included. */
  start: number;
  end: number;
}

export interface HeaderBlock {
  fields: HeaderField[];
  /** Octets up to and including the empty line, or up to a line that is no field. */
  length: number;
  /** Whether an empty line ends the block. Without one, readers of mail differ in what they take for a field. */
  isEnded: boolean;
}

/** Octets of the name of a field, blanks behind it included. */
export const LONGEST_NAME = 998;

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Where the body of a message with CRLF line ends begins, or -1 when the end of the header block is not in `octets`.
 * @param from where to look; octets before it are known not to hold the end.
 */
export function endOfHeader(octets: Buffer, from = 0): number {
  if (octets.length >= 2 && octets[0] === CR && octets[1] === LF) return 2;
  const at = octets.indexOf('\r\n\r\n', Math.max(0, from - 3));
  return at < 0 ? -1 : at + 4;
}

/**
 * Splits a header block with CRLF line ends into its fields. A line that is no field (no colon, or blanks in the
 * name) ends the header block in front of it.
 */
export function scanHeader(octets: Buffer): HeaderBlock {
  const fields: HeaderField[] = [];
  let start = 0;
  while (start < octets.length) {
    if (octets[start] === CR && octets[start + 1] === LF) return { fields, length: start + 2, isEnded: true };
    const end = endOfField(octets, start);
    const name = fieldName(octets, start, end);
    if (!name) return { fields, length: start, isEnded: false };
    fields.push({ name, start, end });
    start = end;
  }
  return { fields, length: start, isEnded: false };
}

function endOfField(octets: Buffer, start: number): number {
  let end = start;
  do {
    const newline = octets.indexOf(LF, end);
    end = newline < 0 ? octets.length : newline + 1;
  } while (octets[end] === SPACE || octets[end] === TAB);
  return end;
}

function fieldName(octets: Buffer, start: number, end: number): string {
  const colon = octets.indexOf(COLON, start);
  if (colon < 0 || colon >= end || colon === start || colon - start > LONGEST_NAME) return '';
  const name = octets.toString('latin1', start, colon).trimEnd();
  return /^[!-9;-~]+$/.test(name) ? name.toLowerCase() : '';
}

/** The unfolded value of a field, as text; octets that are not UTF-8 become U+FFFD. */
export function fieldValue(octets: Buffer, field: HeaderField): string {
  const colon = octets.indexOf(COLON, field.start);
  return octets
    .toString('utf8', colon + 1, field.end)
    .replace(/\r?\n(?=[ \t])/g, '')
    .trim();
}
