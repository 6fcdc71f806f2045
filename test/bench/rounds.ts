// A case from warm-up to table. The subjects take turns, each round beginning with another one, and rounds in which
// other programs wanted the cores are repeated, for a while.
import type { BenchCase } from './cases.js';
import { untilQuiet } from './machine-load.js';
import { measure, type Sample } from './measure.js';
import type { BenchOptions } from './options.js';
import type { Subject } from './subject.js';
import { isQuiet, quietest, summarize, type CaseResult } from './summary.js';
import { ratiosOf, remarksOf, tableOf } from './table.js';

/** Of a case's own number of messages, however few are asked for. All alike: Node goes on compiling for some 15,000. */
const WARM_UP_SHARE = 2;
/** How often a round is tried for want of quiet, without and with patience. */
const MAX_TRIES = { usual: 3, patient: 12 };
const PATIENCE_MS = 60_000;

type Samples = Record<string, Sample[]>;

export async function runCase(
  work: BenchCase,
  subjects: Subject[],
  options: BenchOptions,
  print: (text: string) => void,
): Promise<CaseResult> {
  const { rounds } = options;
  const sized = { ...work, messages: options.messages ?? work.messages };
  print(`\n${work.name}: ${work.title}; ${rounds} rounds of ${sized.messages} messages, medians`);
  for (const subject of subjects)
    await measure(subject, { ...work, messages: Math.ceil(work.messages * WARM_UP_SHARE) });
  const samples = await takeTurns(sized, subjects, options);
  const rows = subjects.map(({ name }) => summarize(name, quietest(samples[name]!, rounds)));
  print([tableOf(rows), ...ratiosOf(rows), ...remarksOf(rows)].join('\n'));
  return { case: sized, rows, samples };
}

/** Until every subject has its quiet rounds, or was tried often enough. */
async function takeTurns(work: BenchCase, subjects: Subject[], { rounds, patient }: BenchOptions): Promise<Samples> {
  const samples: Samples = Object.fromEntries(subjects.map(({ name }) => [name, []]));
  const lacks = ({ name }: Subject): boolean => samples[name]!.filter(isQuiet).length < rounds;
  const tries = rounds * (patient ? MAX_TRIES.patient : MAX_TRIES.usual);
  for (let round = 0; round < tries && subjects.some(lacks); round++) {
    for (const subject of rotated(subjects, round).filter(lacks)) {
      if (patient) await untilQuiet(PATIENCE_MS);
      samples[subject.name]!.push(await measure(subject, work));
    }
  }
  return samples;
}

function rotated<T>(items: T[], by: number): T[] {
  return items.map((_item, index) => items[(index + by) % items.length]!);
}
