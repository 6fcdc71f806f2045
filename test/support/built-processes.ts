// What runs on this machine, read from /proc: which processes belong to a server that was started for a test, whether
// they are gone, and what their command lines and environments give away. Linux only, as the product's containers.
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessFacts {
  pid: number;
  parent: number;
  group: number;
  commandLine: string;
  environment: string;
}

/** All living processes except this one and zombies, which only wait for their parent to notice. */
function allProcesses(): ProcessFacts[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => factsOf(Number(pid))).filter((facts) => facts !== undefined);
}

/** Those in the process group `group`, and those that name `folder` in their command line or environment. */
export function processesOf(group: number, folder: string): ProcessFacts[] {
  return allProcesses().filter(
    (facts) => facts.group === group || facts.commandLine.includes(folder) || facts.environment.includes(folder),
  );
}

export function isAlive(pid: number): boolean {
  return factsOf(pid) !== undefined;
}

function factsOf(pid: number): ProcessFacts | undefined {
  if (pid === process.pid) return undefined;
  // The name in parentheses may hold anything, also a parenthesis.
  const [state, parent, group] = read(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ');
  if (state === undefined || state === '' || state === 'Z' || state === 'X') return undefined;
  const text = (file: string) => read(pid, file).replaceAll('\0', '\n');
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    commandLine: text('cmdline'),
    environment: text('environ'),
  };
}

/** Empty when the process is gone, or is somebody else's. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
