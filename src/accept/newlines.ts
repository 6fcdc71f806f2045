// Bare CR and bare LF become CRLF, or are refused; NUL is refused always. RFC 5321 2.3.8: a CR or LF alone must not
// be sent, and must never be taken for the end of a line by anyone down the road (SMTP smuggling).
// Clean octets, nearly all there are, pass as they came, without a copy.
import { refuse, type Refusal } from '../message/refusal.js';

const BARE_NEWLINE = /\r(?!\n)|(?<!\r)\n/g;
const SUSPECT = /\r(?!\n)|(?<!\r)\n|\0/;
const CR = 0x0d;
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
    const text = octets.toString('latin1');
    if (!SUSPECT.test(text)) return octets;
    if (octets.includes(0)) return refuse('nul-in-message');
    if (this.mode === 'refuse') return refuse('bare-newline');
    return Buffer.from(text.replace(BARE_NEWLINE, '\r\n'), 'latin1');
  }
}
