// Whether a text is base64 (RFC 4648 4, line ends allowed, padding optional), looked at in pieces: it may be 30 MB, and
// nobody else is served meanwhile.
import { setImmediate } from 'node:timers/promises';

const PIECE = 262_144;
const INNER = /^[A-Za-z0-9+/\s]*$/;
const LAST = /^[A-Za-z0-9+/\s]*(?:=\s*){0,2}$/;

/** Also that it holds octets, and all of the last one. */
export async function isBase64(text: string): Promise<boolean> {
  // Padding is in the last piece, with whatever blanks are around it.
  const last = Math.max(0, text.length - 64);
  const end = text.slice(last).replace(/\s+/g, '');
  if (!LAST.test(end)) return false;
  const padding = end.length - end.replace(/=/g, '').length;
  let digits = end.length - padding;
  for (let at = 0; at < last; at += PIECE) {
    const piece = text.slice(at, Math.min(at + PIECE, last));
    if (!INNER.test(piece)) return false;
    digits += piece.replace(/\s+/g, '').length;
    if (at > 0) await setImmediate();
  }
  return digits > 0 && digits % 4 !== 1 && (padding === 0 || (digits + padding) % 4 === 0);
}
