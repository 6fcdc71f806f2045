// Certificates are renewed by programs that replace files, links or whole folders: the folders are watched.
import { realpathSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { pairsIn } from './certificate-folder.js';
import type { CertificateFiles } from './certificate.js';
import type { CertificateSources } from './certificate-set.js';
import { messageOf } from './fault.js';
import type { Log } from './log.js';

/** Bursts count once, and a renewal that replaces several files gets the time to do so. */
const QUIET_MS = 500;

/** Calls `onChange` a moment after something changed beside one of the files, or beside what they link to. */
export function watchCertificates(sources: CertificateSources, log: Log, onChange: () => void): void {
  const watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    for (const watcher of watchers.splice(0)) watcher.close();
    for (const folder of foldersOf(sources)) {
      try {
        const watcher = watch(folder, later);
        watcher.on('error', () => {}).unref();
        watchers.push(watcher);
      } catch (error) {
        log.warn({ fault: messageOf(error) }, 'the certificate is not watched; send SIGHUP after a change');
      }
    }
  };
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // Folders come and go as well.
      begin();
      onChange();
    }, QUIET_MS).unref();
  };
  begin();
}

function foldersOf({ files, folder }: CertificateSources): Set<string> {
  const pairs = folder ? [files, ...foundIn(folder)] : [files];
  const all = pairs.flatMap(({ cert, key }) => [cert, key]);
  return new Set([...(folder ? [folder] : []), ...all.map((file) => dirname(file)), ...all.map(targetOf)]);
}

/** None while the folder is being filled: reading it again says so, and it is watched for what comes. */
function foundIn(folder: string): CertificateFiles[] {
  try {
    return pairsIn(folder);
  } catch {
    return [];
  }
}

/** The folder of what a link leads to; of one that leads nowhere, its own. */
function targetOf(file: string): string {
  try {
    return dirname(realpathSync(file));
  } catch {
    return dirname(file);
  }
}
