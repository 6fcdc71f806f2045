// All chance of a run comes from one seed: the same seed and round make the same plan of faults and the same messages.
// What happens in between depends on the machine all the same; the time line says when each fault struck.
import { createHash } from 'node:crypto';

export class SeededRandom {
  #state: number;

  /** @param names part one source of chance from another, so that what one client draws changes nothing for the next. */
  constructor(seed: number, ...names: (string | number)[]) {
    this.#state = createHash('sha256')
      .update([seed, ...names].join(' '))
      .digest()
      .readUInt32LE(0);
  }

  /** From 0 to 1, without 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.between(0, items.length - 1)]!;
  }
}
