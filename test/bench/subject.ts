// A server under measurement, as the benchmarks see it.
import type { Lifecycle } from '../../src/base/lifecycle.js';
import type { Auth } from '../support/load-session.js';
import type { Process } from './processes.js';
import type { Sink } from './sink-client.js';

export interface Subject {
  name: string;
  port: number;
  /** Several: sessions take turns with them. */
  auth: Auth | Auth[];
  /** Where its mail goes; undefined for one that relays nowhere. */
  sink: Sink | undefined;
  /** All of it, as of now. */
  processes(): Process[];
  /** Whether all work on messages that it accepted has ended. */
  isIdle(): Promise<boolean>;
  /** What a reader of its figures must know. */
  remarks: string[];
}

/** What a subject is made with. */
export interface Bench {
  /** Releases what was started. */
  lifecycle: Lifecycle;
  /** A folder of its own in the bench's temporary folder. */
  dir: string;
  profileDir: string | undefined;
}

export type StartSubject = (name: string, bench: Bench) => Promise<Subject>;
