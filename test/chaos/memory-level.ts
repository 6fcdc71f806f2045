// Whether memory returned to its level: what a site holds in the quiet at the end of its last rounds is compared with
// what it held at the end of its first. Nearly every round replaces processes, so this finds what stays in Redis, in
// the supervisor, and what a worker takes for one bad round; `npm run bench -- --soak` has workers that live long.
import type { MemoryReading } from './leftovers.js';
import type { RoundResult } from './round.js';

/** Rounds of a kind, below which there is no level to speak of. */
const FEWEST = 10;
const FACTOR = 1.5;
/** Heaps breathe. */
const SLACK_BYTES = 50_000_000;

const parts: (keyof MemoryReading)[] = ['supervisor', 'workers', 'redis'];

export interface MemoryLevel {
  kind: RoundResult['kind'];
  part: keyof MemoryReading;
  /** Means of the first third of the rounds, without the first one, and of the last third. */
  before: number;
  after: number;
}

export function memoryLevels(rounds: RoundResult[]): MemoryLevel[] {
  return (['own', 'embedded'] as const).flatMap((kind) => {
    const readings = rounds.filter((round) => round.kind === kind).map(({ memory }) => memory);
    const third = Math.ceil(readings.length / 3);
    if (readings.length === 0) return [];
    const mean = (list: MemoryReading[], part: keyof MemoryReading): number =>
      list.reduce((sum, reading) => sum + reading[part], 0) / list.length;
    return parts.map((part) => ({
      ...{ kind, part },
      ...{
        before: mean(readings.slice(readings.length > 3 ? 1 : 0, third + 1), part),
        after: mean(readings.slice(-third), part),
      },
    }));
  });
}

export function memoryWrongs(rounds: RoundResult[]): string[] {
  const counted = (kind: string): number => rounds.filter((round) => round.kind === kind).length;
  return memoryLevels(rounds)
    .filter(({ kind, before, after }) => counted(kind) >= FEWEST && after > before * FACTOR + SLACK_BYTES)
    .map(
      ({ kind, part, before, after }) => `memory of ${part} (${kind} Redis) rose from ${mb(before)} to ${mb(after)} MB`,
    );
}

export const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
