// Contents of messages that are too long to be encoded in one go: pieces in, encoded pieces out, with a turn of the event
// loop after each.
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import * as qp from 'nodemailer/lib/qp';

/** Octets at a time; three of them make four characters of base64. */
const PIECE = 49_152;
/** RFC 2045 6.8. */
const LINE = 76;
const LINES = /.{76}/g;

/** Base64 in pieces that has been checked, with line ends anywhere, as lines of 76. */
export async function* base64Lines(pieces: Iterable<string>): AsyncGenerator<Buffer> {
  let rest = '';
  for (const piece of pieces) {
    const text = rest + piece.replace(/\s+/g, '');
    // What ends the content gets no line end and its padding.
    const whole = Math.max(0, Math.ceil(text.length / LINE) - 1) * LINE;
    rest = text.slice(whole);
    if (whole === 0) continue;
    yield Buffer.from(text.slice(0, whole).replace(LINES, '$&\r\n'), 'latin1');
    await setImmediate();
  }
  yield Buffer.from(Buffer.from(rest, 'base64').toString('base64'), 'latin1');
}

export function* base64Of(octets: Buffer): Generator<string> {
  for (let at = 0; at < octets.length; at += PIECE) yield octets.toString('base64', at, at + PIECE);
}

/** Quoted-printable (RFC 2045 6.7) of a text with CRLF line ends. */
export function quotedPrintable(text: Buffer): AsyncIterable<Buffer> {
  return Readable.from(slices(text)).pipe(new qp.Encoder());
}

async function* slices(octets: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < octets.length; at += PIECE) {
    yield octets.subarray(at, at + PIECE);
    await setImmediate();
  }
}
