// A bound on the memory that all messages on their way in may take together.

export class Budget {
  #used = 0;

  /** @param limit octets. */
  constructor(private readonly limit: number) {}

  get used(): number {
    return this.#used;
  }

  /** Sets what one holder holds from `before` to `after` octets. @returns false, with nothing changed, when there is no room. */
  move(before: number, after: number): boolean {
    if (after > before && this.#used + after - before > this.limit) return false;
    this.#used += after - before;
    return true;
  }
}
