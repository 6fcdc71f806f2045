// When and from where a key was last used, and who still uses the secret that a rotation replaced. Written at most once
// a minute per key, or per client with an old secret: an operator must be able to see which key is idle and who has not
// moved over, and a busy key must not cost a write for every message.
import type { Clock } from '../base/clock.js';
import type { KeyStore } from './store.js';

const INTERVAL_MS = 60_000;
const MAX_ENTRIES = 50_000;

/** A client, as it says and as it is seen. */
interface Client {
  address: string;
  /** '' over HTTP. */
  helo: string;
}

export class KeyUsage {
  readonly #noted = new Map<string, number>();

  constructor(
    private readonly store: Pick<KeyStore, 'touch' | 'touchOld'>,
    private readonly clock: Clock,
  ) {}

  /** Notes a use. Never throws and never waits: losing a note does no harm. */
  note(id: string, from: string): void {
    this.#once(id, (now) => this.store.touch(id, now, from));
  }

  /** Notes a use of a secret that was replaced. @param mark which one. */
  noteOld(id: string, mark: string, { address, helo }: Client): void {
    const user = { address, name: helo || 'HTTP' };
    this.#once([id, mark, address, user.name].join(' '), (now) => this.store.touchOld(id, mark, now, user));
  }

  #once(what: string, write: (now: number) => Promise<void>): void {
    const now = this.clock.now();
    if (now - (this.#noted.get(what) ?? -Infinity) < INTERVAL_MS) return;
    if (this.#noted.size >= MAX_ENTRIES) this.#noted.clear();
    this.#noted.set(what, now);
    write(now).catch(() => this.#noted.delete(what));
  }
}
