// Octets that are gathered piece by piece. One piece is kept without a copy; many small ones cost no more than twice
// their length, however a client cuts them.

const EMPTY = Buffer.alloc(0);
const MIN_CAPACITY = 4096;

export class Octets {
  #buffer: Buffer = EMPTY;
  #length = 0;
  /** Whether #buffer was made here and may be written to. */
  #owned = false;

  get length(): number {
    return this.#length;
  }

  append(piece: Buffer): void {
    if (piece.length === 0) return;
    if (this.#length === 0) {
      this.#buffer = piece;
      this.#owned = false;
    } else {
      this.#reserve(this.#length + piece.length);
      piece.copy(this.#buffer, this.#length);
    }
    this.#length += piece.length;
  }

  /** What was gathered, valid until the next call. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** What was gathered; afterwards nothing is. */
  take(): Buffer {
    const octets = this.view();
    this.#buffer = EMPTY;
    this.#length = 0;
    return octets;
  }

  #reserve(needed: number): void {
    if (this.#owned && this.#buffer.length >= needed) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#length, MIN_CAPACITY));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    this.#owned = true;
  }
}
