// Processes and the CPU time of a whole tree of them, read from /proc (Linux). A child that has ended counts with the
// parent that waited for it, so that servers which start a process per job are measured in full.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Process {
  pid: number;
  /** What its cost is listed under. */
  name: string;
}

/** Milliseconds by name of process. */
export type CpuTimes = Record<string, { userMs: number; systemMs: number }>;

interface Stat {
  name: string;
  parent: number;
  /** User, system, and the same of children that were waited for. */
  ticks: [number, number, number, number];
}

/** USER_HZ, which is 100 in the Linux ABI; the kernel scales the ticks to the exact run time. */
const TICK_MS = 10;

/** The process and everything below it. */
export function processTree(root: number): Process[] {
  const all = allStats();
  const tree = [root];
  for (const parent of tree) tree.push(...[...all].filter(([, stat]) => stat.parent === parent).map(([pid]) => pid));
  return tree.flatMap((pid) => (all.has(pid) ? [{ pid, name: all.get(pid)!.name }] : []));
}

/** Processes that work in this folder, as a redis-server does in its data folder. */
export function processesIn(folder: string): number[] {
  return allPids().filter((pid) => quietly(() => readlinkSync(`/proc/${pid}/cwd`)) === folder);
}

export function cpuOf(processes: Process[]): CpuTimes {
  const times: CpuTimes = {};
  for (const { pid, name } of processes) {
    const [user, system, childUser, childSystem] = statOf(pid)?.ticks ?? [0, 0, 0, 0];
    const sum = (times[name] ??= { userMs: 0, systemMs: 0 });
    sum.userMs += (user + childUser) * TICK_MS;
    sum.systemMs += (system + childSystem) * TICK_MS;
  }
  return times;
}

export function totalMs(times: CpuTimes): number {
  return Object.values(times).reduce((sum, { userMs, systemMs }) => sum + userMs + systemMs, 0);
}

/** What was used between two readings. */
export function cpuBetween(before: CpuTimes, after: CpuTimes): CpuTimes {
  const entries = Object.entries(after).map(([name, { userMs, systemMs }]) => {
    const was = before[name] ?? { userMs: 0, systemMs: 0 };
    return [name, { userMs: userMs - was.userMs, systemMs: systemMs - was.systemMs }] as const;
  });
  return Object.fromEntries(entries);
}

function allStats(): Map<number, Stat> {
  const found = allPids().map((pid) => [pid, statOf(pid)] as const);
  return new Map(found.filter((entry): entry is [number, Stat] => entry[1] !== undefined));
}

const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** undefined when it has ended. The name is in parentheses and may hold anything; the numbers come after it. */
function statOf(pid: number): Stat | undefined {
  const text = quietly(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (text === undefined) return undefined;
  const end = text.lastIndexOf(')');
  const numbers = text
    .slice(end + 4)
    .split(' ')
    .map(Number);
  return {
    name: text.slice(text.indexOf('(') + 1, end),
    parent: numbers[0]!,
    ticks: numbers.slice(10, 14) as Stat['ticks'],
  };
}

/** A process may end between two readings. */
function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
