// Bare CR and bare LF become CRLF, or are refused; NUL is refused always. RFC 5321 2.3.8: a CR or LF alone must not
// be sent, and must never be taken for the end of a line by anyone down the road (SMTP smuggling).
// Clean octets, nearly all there are, pass as they came, without a copy.
import { refuse, type Refusal } from '../message/refusal.js';

const CR = 0x0d;
const LF = 0x0a;
/** Lines shorter than this are looked at octet by octet: a call into the runtime for each costs more. */
const SHORT_LINE = 8;
const EMPTY = Buffer.alloc(0);

export class Newlines {
  /** A CR at the end of a chunk: the next chunk tells whether it is bare. */
  #heldCr = false;

  constructor(private readonly mode: 'normalize' | 'refuse') {}

  /** The octets to keep, fewer or more than came. */
  push(chunk: Buffer): Buffer | Refusal {
    const joined = this.#heldCr ? Buffer.concat([Buffer.from('\r'), chunk]) : chunk;
    this.#heldCr = joined.at(-1) === CR;
    return this.#clean(this.#heldCr ? joined.subarray(0, -1) : joined);
  }

  /** What is left at the end of the message. */
  end(): Buffer | Refusal {
    if (!this.#heldCr) return EMPTY;
    this.#heldCr = false;
    return this.#clean(Buffer.from('\r'));
  }

  #clean(octets: Buffer): Buffer | Refusal {
    if (octets.includes(0)) return refuse('nul-in-message');
    if (!hasBareNewline(octets)) return octets;
    if (this.mode === 'refuse') return refuse('bare-newline');
    return normalized(octets);
  }
}

/** From line end to line end, which for lines of some length is several times as fast as looking at each octet. */
function hasBareNewline(octets: Buffer): boolean {
  for (let at = 0; ;) {
    const near = Math.min(octets.length, at + SHORT_LINE);
    while (at < near && octets[at] !== CR && octets[at] !== LF) at++;
    if (at === near) {
      const [cr, lf] = [octets.indexOf(CR, at), octets.indexOf(LF, at)];
      if (cr < 0 || lf < 0) return cr !== lf;
      if (lf !== cr + 1) return true;
      at = lf + 1;
    } else {
      if (octets[at] !== CR || octets[at + 1] !== LF) return true;
      at += 2;
    }
  }
}

/** Octet by octet, because a message may hold nothing but bare newlines. */
function normalized(octets: Buffer): Buffer {
  const out = Buffer.allocUnsafe(octets.length + countBare(octets));
  let length = 0;
  let before: number | undefined;
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at]!;
    if (octet !== CR && octet !== LF) out[length++] = octet;
    else if (octet === CR || before !== CR) {
      out[length++] = CR;
      out[length++] = LF;
    }
    before = octet;
  }
  return out;
}

function countBare(octets: Buffer): number {
  let bare = 0;
  let before: number | undefined;
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at];
    if (octet === LF) bare += before === CR ? -1 : 1;
    else if (octet === CR) bare++;
    before = octet;
  }
  return bare;
}
