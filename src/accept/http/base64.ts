// Whether a text is base64 (RFC 4648 4, line ends allowed, padding optional), looked at in pieces: it may be 30 MB, and
// nobody else is served meanwhile.
import { setImmediate } from 'node:timers/promises';

const DIGITS = /^[A-Za-z0-9+/]*$/;

/** Also that it holds octets, and all of the last one. */
export async function isBase64(pieces: readonly string[]): Promise<boolean> {
  let digits = 0;
  let padding = '';
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) await setImmediate();
    const text = piece.replace(/\s+/g, '');
    // Behind the first padding there is nothing else.
    const end = padding ? 0 : text.indexOf('=');
    const body = end < 0 ? text : text.slice(0, end);
    if (!DIGITS.test(body)) return false;
    digits += body.length;
    padding += text.slice(body.length);
    if (padding && !/^={1,2}$/.test(padding)) return false;
  }
  return digits > 0 && digits % 4 !== 1 && (padding === '' || (digits + padding.length) % 4 === 0);
}
