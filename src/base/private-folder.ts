// The data folder is for its owner alone: it holds the pepper, a private key and everybody's mail.
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { codeOf, OperatorError } from './fault.js';
import type { Log } from './log.js';

/** Makes the folder, or takes it back from group and others. @throws OperatorError when it cannot be made */
export function keepPrivate(folder: string, log: Log): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new OperatorError(`dataDir: cannot make ${folder} (${codeOf(error)})`);
  }
  const mode = statSync(folder).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  try {
    chmodSync(folder, mode & 0o700);
    log.warn({ folder, mode: mode.toString(8) }, 'the data folder was open to others; it is private now');
  } catch (error) {
    log.warn({ folder, mode: mode.toString(8), fault: codeOf(error) }, 'the data folder is open to others');
  }
}
