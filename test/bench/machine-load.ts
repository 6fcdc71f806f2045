// How busy the machine is, and with what: figures taken while something else wants the cores are worth less.
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { cpuOf, totalMs, type Process } from './processes.js';

const TICK_MS = 10;
const LOOK_MS = 300;
/** Of one core, over LOOK_MS. */
const QUIET_SHARE = 0.1;

export interface LoadReading {
  atMs: number;
  /** All cores, stolen time included: another guest of the host is a disturbance too. */
  busyMs: number;
  benchMs: number;
}

/** Cores in use on average between two readings. */
export interface CoresUsed {
  bench: number;
  subject: number;
  /** By anything else. */
  others: number;
}

/** @param helpers processes of the bench besides its own. */
export function readLoad(helpers: Process[]): LoadReading {
  const { user, system } = process.cpuUsage();
  const benchMs = (user + system) / 1000 + totalMs(cpuOf(helpers));
  return { atMs: performance.now(), busyMs: machineBusyMs(), benchMs };
}

export function coresBetween(before: LoadReading, after: LoadReading, subjectMs: number): CoresUsed {
  const elapsedMs = after.atMs - before.atMs;
  const benchMs = after.benchMs - before.benchMs;
  const othersMs = after.busyMs - before.busyMs - benchMs - subjectMs;
  return { bench: benchMs / elapsedMs, subject: subjectMs / elapsedMs, others: Math.max(0, othersMs / elapsedMs) };
}

/** Waits for a moment in which the machine has nothing else to do, or until `maxMs` have passed. */
export async function untilQuiet(maxMs: number): Promise<void> {
  const until = performance.now() + maxMs;
  for (let busy = 1; busy > QUIET_SHARE && performance.now() < until;) {
    const before = machineBusyMs();
    await setTimeout(LOOK_MS);
    busy = (machineBusyMs() - before) / LOOK_MS;
  }
}

/** proc(5): user, nice, system, idle, iowait, irq, softirq, steal. The packets of loopback are interrupts: no others' work. */
function machineBusyMs(): number {
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]!
    .split(/ +/)
    .slice(1)
    .map(Number);
  return (user + nice + system + steal) * TICK_MS;
}
