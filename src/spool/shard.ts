// The names of a shard's keys: one hash tag for all, so that in a Redis Cluster each transition stays on one node.

export class Shard {
  readonly prefix: string;
  readonly ready: string;
  readonly later: string;
  readonly index: string;
  readonly aside: string;
  readonly batches: string;

  constructor(readonly number: number) {
    this.prefix = `postern:{s${number}}:`;
    this.ready = `${this.prefix}ready`;
    this.later = `${this.prefix}later`;
    this.index = `${this.prefix}index`;
    this.aside = `${this.prefix}aside`;
    this.batches = `${this.prefix}batches`;
  }

  message(id: string): string {
    return `${this.prefix}m:${id}`;
  }

  body(id: string): string {
    return `${this.prefix}b:${id}`;
  }

  /** The answer that a request with this idempotency key was given. */
  once(key: string): string {
    return `${this.prefix}once:${key}`;
  }

  /** Messages held because their batch is paused. */
  held(batch: string): string {
    return `${this.prefix}held:${batch}`;
  }
}
