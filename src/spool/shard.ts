// The names of a shard's keys: one hash tag for all, so that in a Redis Cluster each transition stays on one node.

export class Shard {
  readonly prefix: string;
  readonly ready: string;
  readonly later: string;
  readonly index: string;
  readonly aside: string;

  constructor(readonly number: number) {
    this.prefix = `postern:{s${number}}:`;
    this.ready = `${this.prefix}ready`;
    this.later = `${this.prefix}later`;
    this.index = `${this.prefix}index`;
    this.aside = `${this.prefix}aside`;
  }

  message(id: string): string {
    return `${this.prefix}m:${id}`;
  }

  body(id: string): string {
    return `${this.prefix}b:${id}`;
  }
}
