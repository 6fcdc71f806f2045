// Round trips to Redis in which all that waits goes along: while one is under way, what comes gathers for the next. A
// server with much to do so syncs its file once, and runs a script once, for many messages; a lone message goes at once.
// Promise: nothing waits for more than the round under way and its own patience, and what fails fails only those that
// were in it.

/** One round trip after the other. */
export class Rounds {
  #isUnderWay = false;
  /** Something waits that has no patience. */
  #isUrgent = false;
  #waiting: (() => Promise<unknown>)[] = [];
  #timer: NodeJS.Timeout | undefined;

  /**
   * `step` begins with the next round: at once when none is under way.
   * @param patienceMs 0, or how long it may wait for something else to begin a round.
   * @returns what `step` returns
   */
  join<T>(step: () => Promise<T>, patienceMs = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => step().then(resolve, reject));
      if (patienceMs > 0) this.#timer ??= setTimeout(() => this.#hurry(), patienceMs);
      else this.#hurry();
    });
  }

  #hurry(): void {
    this.#isUrgent = true;
    if (!this.#isUnderWay) void this.#go();
  }

  async #go(): Promise<void> {
    this.#isUnderWay = true;
    while (this.#isUrgent) {
      this.#isUrgent = false;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      await Promise.all(this.#waiting.splice(0).map((step) => step()));
    }
    this.#isUnderWay = false;
  }
}

interface Passenger<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** Things of one kind that go in one call. */
export class Gathering<Item, Result> {
  #waiting: Passenger<Item, Result>[] = [];

  /** @param most of them in a call, 2 or more. @param call returns a result for each. @param patienceMs as of `join`. */
  constructor(
    private readonly rounds: Rounds,
    private readonly most: number,
    private readonly call: (items: Item[]) => Promise<Result[]>,
    private readonly patienceMs = 0,
  ) {}

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length % this.most === 1) void this.rounds.join(() => this.#go(), this.patienceMs);
    });
  }

  async #go(): Promise<void> {
    const together = this.#waiting.splice(0, this.most);
    try {
      const results = await this.call(together.map(({ item }) => item));
      together.forEach(({ resolve }, at) => resolve(results[at]!));
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }
}
