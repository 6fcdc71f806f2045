// A lock between processes of one machine, for the moment of starting something that must run once. It is a file
// with the holder's process id; the lock of a process that is gone is taken over.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { codeOf, OperatorError } from './fault.js';
import { pause } from './pause.js';

const RETRY_MS = 25;

/** Runs `work` while no other process runs its own under the same `file`. @throws OperatorError after `ms` of waiting. */
export async function withStartLock<T>(file: string, ms: number, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + ms;
  while (!tryLock(file)) {
    if (Date.now() > until) throw new OperatorError(`${file} is held by process ${holder(file) ?? '?'} for too long`);
    await pause(RETRY_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryLock(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw new OperatorError(`dataDir: cannot write ${file} (${codeOf(error)})`);
  }
  const pid = holder(file);
  if (pid !== undefined && !isAlive(pid)) removeStale(file, pid);
  return false;
}

/** Renaming is atomic: of two that find the same stale lock, one takes it away. */
function removeStale(file: string, pid: number): void {
  const taken = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, taken);
    const fresh = holder(taken);
    if (fresh !== pid && fresh !== undefined) renameSync(taken, file);
    else rmSync(taken, { force: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function holder(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
