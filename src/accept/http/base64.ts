// Whether a text is base64 (RFC 4648 4, line ends allowed, padding optional), looked at in pieces: it may be 30 MB, and
// nobody else is served meanwhile.
import { setImmediate } from 'node:timers/promises';

const PIECE = 262_144;
const INNER = /^[A-Za-z0-9+/\s]*$/;
const LAST = /^[A-Za-z0-9+/\s]*(?:=\s*){0,2}$/;

export async function isBase64(text: string): Promise<boolean> {
  // Padding is in the last piece, with whatever blanks are around it.
  const last = Math.max(0, text.length - 64);
  if (!LAST.test(text.slice(last))) return false;
  for (let at = 0; at < last; at += PIECE) {
    if (!INNER.test(text.slice(at, Math.min(at + PIECE, last)))) return false;
    if (at > 0) await setImmediate();
  }
  return true;
}
