// Messages that a put of this process claimed for it in the same step, so that the delivering side need not ask Redis
// for them. Promise: no more are taken than the delivering side waits for, and none is forgotten: each is given to it,
// or, when it has stopped, given back.
import type { Lease } from './spool.js';

export class HandOver {
  #leases: Lease[] = [];
  /** How many more the delivering side would begin now; 0 while it does not wait. */
  #room = 0;
  /** Puts on their way that may bring one each. */
  #expected = 0;
  #isClosed = false;
  #arrived: () => void = () => {};

  /** @param giveBack for what comes too late. */
  constructor(private readonly giveBack: (lease: Lease) => void) {}

  /** Leases that wait to be begun; they must be renewed meanwhile. */
  get waiting(): readonly Lease[] {
    return this.#leases;
  }

  /** Takes what is there; waits for the first, or for `other` to end, when there is nothing. */
  async take(max: number, other: () => Promise<unknown>): Promise<Lease[]> {
    if (this.#leases.length === 0) {
      this.#room = max;
      const arrival = new Promise<void>((resolve) => (this.#arrived = resolve));
      await Promise.race([arrival, other()]).finally(() => (this.#room = 0));
    }
    return this.#leases.splice(0, max);
  }

  /** Whether a put may claim. If so, `receive` must follow, with or without a lease. */
  expect(): boolean {
    if (this.#isClosed || this.#expected + this.#leases.length >= this.#room) return false;
    this.#expected++;
    return true;
  }

  receive(lease: Lease | undefined): void {
    this.#expected--;
    if (lease) this.add(lease);
  }

  /** Takes in a lease that was claimed otherwise. */
  add(lease: Lease): void {
    if (this.#isClosed) return this.giveBack(lease);
    this.#leases.push(lease);
    this.#arrived();
  }

  close(): void {
    this.#isClosed = true;
    for (const lease of this.#leases.splice(0)) this.giveBack(lease);
  }
}
