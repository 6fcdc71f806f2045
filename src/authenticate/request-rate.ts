// How often a key, or a client without one, may call the HTTP API: a fixed window of a minute in the memory of this
// process. Every answer tells it in X-RateLimit-*. Messages of a key are limited elsewhere (admit/allowance.ts).
import type { Clock } from '../base/clock.js';

const WINDOW_MS = 60_000;
const MAX_ENTRIES = 50_000;

/** What X-RateLimit-Limit, -Remaining and -Reset say. */
export interface RateView {
  limit: number;
  remaining: number;
  /** Unix seconds at which there is room again. */
  resetAt: number;
}

export class RequestRate {
  readonly #counts = new Map<string, number>();
  #endsAt = 0;

  constructor(
    private readonly maxPerMinute: number,
    private readonly clock: Clock,
  ) {}

  /** Counts a request of `who` (a key's id or a client address). @returns also whether it was one too many. */
  take(who: string): RateView & { exceeded: boolean } {
    const now = this.clock.now();
    if (now >= this.#endsAt || this.#counts.size >= MAX_ENTRIES) {
      this.#counts.clear();
      this.#endsAt = now - (now % WINDOW_MS) + WINDOW_MS;
    }
    const count = (this.#counts.get(who) ?? 0) + 1;
    this.#counts.set(who, count);
    const remaining = Math.max(0, this.maxPerMinute - count);
    return { limit: this.maxPerMinute, remaining, resetAt: this.#endsAt / 1000, exceeded: count > this.maxPerMinute };
  }
}
