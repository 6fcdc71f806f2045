// When and from where a key was last used, written at most once a minute per key: an operator must be able to see
// which key is idle, and a busy key must not cost a write for every message.
import type { Clock } from '../base/clock.js';
import type { KeyStore } from './store.js';

const INTERVAL_MS = 60_000;
const MAX_ENTRIES = 50_000;

export class KeyUsage {
  readonly #noted = new Map<string, number>();

  constructor(
    private readonly store: Pick<KeyStore, 'touch'>,
    private readonly clock: Clock,
  ) {}

  /** Notes a use. Never throws and never waits: losing a note does no harm. */
  note(id: string, from: string): void {
    const now = this.clock.now();
    if (now - (this.#noted.get(id) ?? -Infinity) < INTERVAL_MS) return;
    if (this.#noted.size >= MAX_ENTRIES) this.#noted.clear();
    this.#noted.set(id, now);
    this.store.touch(id, now, from).catch(() => this.#noted.delete(id));
  }
}
