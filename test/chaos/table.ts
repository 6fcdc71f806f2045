// The result of a run for people: a line a round, tables of the whole, and for a round that failed all that is known.
import { median } from '../bench/summary.js';
import { faultNames } from './faults.js';
import { mb, memoryLevels } from './memory-level.js';
import type { RoundResult } from './round.js';
import type { Counts } from './verdict.js';

const rows: [keyof Counts, string][] = [
  ['submitted', 'messages submitted'],
  ['accepted', 'answered 250'],
  ['temporary', 'answered 4yz'],
  ['permanent', 'answered 5yz: NUL, too big (all of them meant to be)'],
  ['unanswered', 'connection lost behind the final dot'],
  ['cutOff', 'connection lost before it, half of them by the client on purpose'],
  ['recipients', 'recipients of those answered 250'],
  ['arrived', '... of them arrived'],
  ['inQueue', '... in the queue'],
  ['reportedBack', '... reported back to the sender'],
  ['lost', '**... lost**'],
  [
    'unconfirmedArrived',
    'arrived without a 250: the reply was lost, or was 4yz for a store that did not answer in time',
  ],
  ['duplicatesMarked', 'second copies, marked in doubt before'],
  ['duplicatesUnmarked', '**second copies without a mark**'],
  ['setAside', 'set aside for a person'],
];

export function roundLine({ round, kind, counts, faults, recoveryMs, memory, wrongs }: RoundResult): string {
  const { submitted, accepted, lost, duplicatesMarked, duplicatesUnmarked, reportedBack } = counts;
  const words = [
    `round ${round} (${kind} Redis, ${faults.length} faults): ${submitted} submitted, ${accepted} answered 250`,
    ...[`${reportedBack} reported back`, `lost ${lost}`, `twice ${duplicatesMarked} marked ${duplicatesUnmarked} not`],
    ...[
      `recovered in ${(recoveryMs / 1000).toFixed(1)} s`,
      `workers ${mb(memory.workers)} MB, Redis ${mb(memory.redis)} MB`,
    ],
  ];
  return `${words.join(', ')}${wrongs.length ? ' FAILED' : ''}`;
}

export function failure({ round, kind, timeline, wrongs }: RoundResult, seed: number): string {
  const lines = [`round ${round} (${kind} Redis) failed:`, ...wrongs.slice(0, 40).map((wrong) => `  ${wrong}`)];
  if (wrongs.length > 40) lines.push(`  and ${wrongs.length - 40} more`);
  lines.push('what happened when:', ...timeline.map((line) => `  ${line}`));
  return [...lines, `again: npm run chaos -- --seed ${seed} --from ${round} --rounds 1 --redis ${kind}`].join('\n');
}

/** Markdown, as in docs/reliability.md. */
export function summary(rounds: RoundResult[]): string {
  const sum = (name: keyof Counts): number => rounds.reduce((total, { counts }) => total + counts[name], 0);
  const recoveries = rounds.map(({ recoveryMs }) => recoveryMs / 1000);
  const struck = rounds.flatMap(({ faults }) => faults);
  return [
    ...table(
      ['', `${rounds.length} rounds`],
      rows.map(([name, title]) => [title, String(sum(name))]),
    ),
    ...[
      '',
      `Recovered after the last fault in ${median(recoveries).toFixed(1)} s (median), ${Math.max(...recoveries).toFixed(1)} s at most.`,
      '',
    ],
    ...table(
      ['fault', 'times'],
      faultNames.map((name) => [name, String(struck.filter((each) => each === name).length)]),
    ),
    '',
    ...table(
      ['memory in the quiet after a round, MB', 'first third', 'last third'],
      memoryLevels(rounds).map(({ kind, part, before, after }) => [`${part}, ${kind} Redis`, mb(before), mb(after)]),
    ),
  ].join('\n');
}

const table = (head: string[], body: string[][]): string[] =>
  [head, head.map(() => '---'), ...body].map((cells) => `| ${cells.join(' | ')} |`);
