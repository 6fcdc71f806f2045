// Which sessions of this process are written down, and how often: a busy server must not pay for what nobody reads,
// and whoever guesses keys must not fill the store. What is beyond the bounds, or fails, is lost without a word.
import type { TranscriptStore } from './transcript-store.js';
import { hasFailed, type Transcript } from './transcript.js';

/** Of sessions without a refusal, by key. */
const CLEAN = { most: 1, ms: 10_000 };
/** Of sessions with refusals, by client address, so that one guesser leaves room for others, and of all. */
const REFUSED = { most: 10, ms: 10_000 };
const REFUSED_IN_ALL = { most: 5, ms: 1000 };
/** Names that are remembered within a time. */
const MAX_NAMES = 10_000;

/** So many of each name in each stretch of time. */
class Pace {
  readonly #counts = new Map<string, number>();
  #since = -Infinity;

  constructor(private readonly bound: { most: number; ms: number }) {}

  hasRoom(name: string, now: number): boolean {
    if (now - this.#since >= this.bound.ms) {
      this.#counts.clear();
      this.#since = now;
    }
    return (this.#counts.get(name) ?? 0) < this.bound.most && this.#counts.size < MAX_NAMES;
  }

  take(name: string, now: number): boolean {
    if (!this.hasRoom(name, now)) return false;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    return true;
  }
}

/** A session that has ended; its lines are made only if it is kept. */
export type SessionFacts = Omit<Transcript, 'lines' | 'omitted'>;

export class TranscriptSink {
  readonly #clean = new Pace(CLEAN);
  readonly #refused = new Pace(REFUSED);
  readonly #all = new Pace(REFUSED_IN_ALL);

  constructor(private readonly store: Pick<TranscriptStore, 'put'>) {}

  /** Takes a session at its end. Never throws and never waits. */
  offer(facts: SessionFacts, lines: () => Pick<Transcript, 'lines' | 'omitted'>): void {
    if (!this.#wants(facts)) return;
    this.store.put({ ...facts, ...lines() }).catch(() => {});
  }

  #wants({ keyId, client, refusals, endedAt, ...login }: SessionFacts): boolean {
    if (keyId === undefined && !hasFailed(login)) return false;
    if (refusals === 0) return keyId !== undefined && this.#clean.take(keyId, endedAt);
    // What the one bound refuses must not count for the other.
    return this.#refused.hasRoom(client, endedAt) && this.#all.take('', endedAt) && this.#refused.take(client, endedAt);
  }
}
