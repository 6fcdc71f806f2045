// One round: clients submit, faults strike, faults stop, the queue drains, and then the two sides are compared.
import { setTimeout } from 'node:timers/promises';
import { until } from '../support/until.js';
import { submitUntil } from './clients.js';
import { drawPlan, strike, type FaultName } from './faults.js';
import { isWholeAndNoMore, readMemory, unfinishedBodies, type LogWatch, type MemoryReading } from './leftovers.js';
import { Ledger } from './ledger.js';
import { SeededRandom } from './random.js';
import { judge, type Counts } from './verdict.js';
import { MAX_MESSAGE_BYTES, type World } from './world.js';

export interface RoundSettings {
  seed: number;
  round: number;
  loadMs: number;
  clients: number;
}

export interface RoundResult {
  round: number;
  kind: World['kind'];
  counts: Counts;
  faults: FaultName[];
  /** What happened when, a line each. */
  timeline: string[];
  /** From the end of the last fault until nothing was left to do. */
  recoveryMs: number;
  memory: MemoryReading;
  unfinishedBytes: number;
  wrongs: string[];
}

/** Generous, for a busy machine; how long it took is in the result. */
const RECOVERY_MS = 90_000;
const DESK_PAGE = 10_000;

export async function runRound(world: World, log: LogWatch, settings: RoundSettings): Promise<RoundResult> {
  const { seed, round, loadMs, clients } = settings;
  const ledger = (world.ledger = new Ledger());
  const random = new SeededRandom(seed, 'victims', round);
  world.pick = (items) => (items.length ? random.pick(items) : undefined);
  const plan = drawPlan(seed, round, world.kind, loadMs);
  const startedAt = performance.now();
  const timeline: string[] = [];
  const note = (text: string): void =>
    void timeline.push(`${((performance.now() - startedAt) / 1000).toFixed(3)} s  ${text}`);
  const load = {
    port: world.site.ports.smtp,
    auth: world.auth,
    clients,
    seed,
    round,
    maxMessageBytes: MAX_MESSAGE_BYTES,
  };
  const submitting = submitUntil(AbortSignal.timeout(loadMs), load, ledger);
  const striking = plan.map(async ({ name, atMs, lastsMs }) => {
    await setTimeout(atMs);
    note(`${name} (${lastsMs} ms)`);
    note(`${name}: ${await strike(name, world, lastsMs)}`);
  });
  await Promise.all([submitting, ...striking]);
  const calmAt = performance.now();
  makeWell(world);
  note('no more faults, no more clients');
  const wrongs = await untilDrained(world);
  const recoveryMs = performance.now() - calmAt;
  note('nothing left to do');
  for (const said of world.site.failedStarts.splice(0)) note(`a start came to nothing: ${said}`);
  const waiting = (await world.desk.list(DESK_PAGE)).filter(({ doneAt }) => doneAt === 0);
  const verdict = await judge(ledger, { find: (id) => world.desk.find(id), waiting });
  const unfinished = await unfinishedBodies(world);
  const memory = await readMemory(world, unfinished.bytes);
  world.hop.forget();
  wrongs.push(...verdict.wrongs, ...unfinished.wrongs, ...log.unexpected().map((line) => `in the log: ${line}`));
  const { counts } = verdict;
  const faults = plan.map(({ name }) => name);
  return {
    round,
    kind: world.kind,
    counts,
    faults,
    timeline,
    recoveryMs,
    memory,
    unfinishedBytes: unfinished.bytes,
    wrongs,
  };
}

function makeWell({ hop, store }: World): void {
  hop.mood = 'well';
  hop.onMessage = undefined;
  hop.wire.mend();
  store.wire?.mend();
}

/** @returns what is still there when the time is up. */
async function untilDrained(world: World): Promise<string[]> {
  const left = { queue: 'unknown', processes: 'unknown', ready: false };
  const isDrained = async (): Promise<boolean> => {
    left.ready = await isReady(world);
    const counts = await world.desk.counts().catch(() => undefined);
    left.queue = JSON.stringify(counts ?? 'unknown');
    left.processes = world.site
      .processes()
      .map(({ pid, commandLine }) => `${pid} ${commandLine.split('\n').slice(0, 4).join(' ')}`)
      .join('; ');
    return Boolean(
      left.ready && counts && counts.ready + counts.underWay + counts.deferred === 0 && isWholeAndNoMore(world),
    );
  };
  try {
    await until('recovery', async () => (await isDrained()) || setTimeout(50, false as const), RECOVERY_MS);
    return [];
  } catch {
    return [`not recovered after ${RECOVERY_MS / 1000} s: ${JSON.stringify(left)}`];
  }
}

const isReady = ({ site }: World): Promise<boolean> =>
  fetch(`http://127.0.0.1:${site.ports.http}/readyz`, { signal: AbortSignal.timeout(2000) }).then(
    ({ ok }) => ok,
    () => false,
  );
