// The command line of chaos.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ChaosOptions } from './chaos.js';

export const usage = `npm run chaos -- [options]
  --seed N        all chance comes from it; default: a new one, which is printed
  --rounds N      default 20
  --minutes N     no round is begun later than this; default 30
  --from N        the first round, default 1; with --rounds 1 and the seed of a run, that round again
  --redis KIND    own (behind a wire that is cut), embedded, or both in turns (default)
  --load-ms N     how long clients submit in a round, default 2500
  --clients N     connections at the same time, default 6
  --json FILE     writes every round
  --keep          leaves the folder with logs and data, and says where it is
Exit codes: 0 nothing lost, no copy without a mark, nothing left behind; 1 something was; 2 wrong usage.`;

export interface CommandLine extends ChaosOptions {
  jsonFile: string | undefined;
  keep: boolean;
}

/** @throws Error for a wrong option. */
export function readOptions(args: string[]): CommandLine | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      ...{
        seed: { type: 'string' },
        rounds: { type: 'string', default: '20' },
        minutes: { type: 'string', default: '30' },
      },
      ...{ from: { type: 'string', default: '1' }, redis: { type: 'string', default: 'both' } },
      ...{ 'load-ms': { type: 'string', default: '2500' }, clients: { type: 'string', default: '6' } },
      ...{ json: { type: 'string' }, keep: { type: 'boolean', default: false }, help: { type: 'boolean' } },
    },
  });
  if (values.help) return 'help';
  const kinds = ({ own: ['own'], embedded: ['embedded'], both: ['embedded', 'own'] } as const)[values.redis];
  if (!kinds) throw new Error(`--redis ${values.redis}: expected own, embedded or both`);
  return {
    seed: values.seed === undefined ? randomInt(1, 2 ** 31) : count('--seed', values.seed),
    ...{ from: count('--from', values.from), rounds: count('--rounds', values.rounds) },
    ...{ minutes: count('--minutes', values.minutes), loadMs: count('--load-ms', values['load-ms']) },
    ...{ clients: count('--clients', values.clients), kinds: [...kinds], jsonFile: values.json, keep: values.keep },
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new Error(`${name} ${text}: expected a whole number from 1`);
  return Number(text);
}
