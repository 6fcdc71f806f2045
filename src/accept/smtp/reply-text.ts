// An SMTP reply as octets (RFC 5321 4.2, RFC 2034). Promise: no text can end a line or begin another, and no line is
// longer than 512 octets.

const MAX_LINE = 510;
const CONTROLS = /[\u0000-\u001F\u007F-\u009F]/g;

/** @param enhanced '' for the replies that have none. @param text a line, or the lines of a long reply. */
export function replyText(code: number, enhanced: string, text: string | string[]): string {
  const lines = typeof text === 'string' ? [text] : text;
  return lines
    .map((line, at) => `${code}${at < lines.length - 1 ? '-' : ' '}${enhanced && `${enhanced} `}${printable(line)}`)
    .map((line) => `${bounded(line)}\r\n`)
    .join('');
}

const printable = (text: string): string => text.replace(CONTROLS, ' ');

function bounded(line: string): string {
  if (Buffer.byteLength(line) <= MAX_LINE) return line;
  return Buffer.from(line)
    .subarray(0, MAX_LINE)
    .toString()
    .replace(/\uFFFD$/, '');
}
