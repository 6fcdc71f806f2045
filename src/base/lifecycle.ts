// What was acquired is released: last in, first out, every one, once, also when start-up fails half way.
// A release that fails does not keep the others from running.

type Release = () => unknown;

export class Lifecycle {
  readonly #releases: { name: string; release: Release }[] = [];
  #closing: Promise<void> | undefined;

  /** @param onError told of a release that threw; the others run all the same. */
  constructor(private readonly onError: (name: string, error: unknown) => void = () => {}) {}

  /** Registers how to give back what was just acquired. */
  defer(name: string, release: Release): void {
    this.#releases.push({ name, release });
  }

  /** Releases everything. Calling it again waits for the first call. */
  close(): Promise<void> {
    this.#closing ??= this.#run();
    return this.#closing;
  }

  async #run(): Promise<void> {
    for (let next = this.#releases.pop(); next; next = this.#releases.pop()) {
      try {
        await next.release();
      } catch (error) {
        this.onError(next.name, error);
      }
    }
  }
}
