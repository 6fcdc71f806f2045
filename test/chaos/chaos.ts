// A run: worlds are made, rounds take turns in them, and at the end everything is stopped and looked at once more.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Lifecycle } from '../../src/base/lifecycle.js';
import { messageOf } from '../../src/base/fault.js';
import { filesLeft, LogWatch } from './leftovers.js';
import { memoryWrongs } from './memory-level.js';
import { runRound, type RoundResult } from './round.js';
import { makeWorld, type World } from './world.js';

export interface ChaosOptions {
  seed: number;
  /** The first one; a round is the same whatever ran before it. */
  from: number;
  rounds: number;
  /** No round is begun later than this. */
  minutes: number;
  loadMs: number;
  clients: number;
  kinds: World['kind'][];
}

export interface ChaosResult {
  rounds: RoundResult[];
  /** Of the run as a whole; those of a round are with it. */
  wrongs: string[];
}

/** Ends with the first round in which something is wrong. @param dir an empty folder. */
export async function runChaos(
  options: ChaosOptions,
  dir: string,
  lifecycle: Lifecycle,
  onRound: (result: RoundResult) => void,
): Promise<ChaosResult> {
  const worlds = await Promise.all(options.kinds.map((kind) => inFolder(kind, join(dir, kind), lifecycle)));
  const logs = worlds.map(({ site }) => new LogWatch(site.logFile));
  const rounds: RoundResult[] = [];
  const end = performance.now() + options.minutes * 60_000;
  for (let at = 0; at < options.rounds && performance.now() < end; at++) {
    const round = options.from + at;
    const turn = round % worlds.length;
    const result = await runRound(worlds[turn]!, logs[turn]!, { ...options, round });
    rounds.push(result);
    onRound(result);
    if (result.wrongs.length) return { rounds, wrongs: [] };
  }
  const ends = await Promise.all(worlds.map(endOf));
  return { rounds, wrongs: [...ends.flat(), ...memoryWrongs(rounds)] };
}

function inFolder(kind: World['kind'], dir: string, lifecycle: Lifecycle): Promise<World> {
  mkdirSync(dir);
  return makeWorld(kind, dir, lifecycle);
}

/** Stops the site as an operator does, and looks at what is left of it. */
async function endOf(world: World): Promise<string[]> {
  const wrongs = await world.site.stop().then(
    () => [],
    (error: unknown) => [messageOf(error)],
  );
  return [...wrongs, ...filesLeft(world).map((file) => `a file was left behind: ${file}`)];
}
