// What the processes of a subject hold in memory together, from /proc (Linux).
import { readFileSync } from 'node:fs';
import type { Process } from './processes.js';

export interface Memory {
  /** Resident, pages shared between processes counted in each. */
  rssBytes: number;
  /** Resident, a shared page in equal parts: also with programs that are not the subject's, such as the bench itself. */
  pssBytes: number;
  /** What they would take alone on the machine: their own pages, and each page of a file once. */
  aloneBytes: number;
}

interface Mapping {
  /** File and offset; '' for memory without a file. */
  file: string;
  rss: number;
  pss: number;
  anonymous: number;
}

export function memoryOf(processes: Process[]): Memory {
  const mappings = processes.flatMap(({ pid }) => mappingsOf(pid));
  const sum = (value: (mapping: Mapping) => number): number => mappings.reduce((total, one) => total + value(one), 0);
  const filePages = new Map<string, number>();
  for (const { file, rss, anonymous } of mappings) {
    filePages.set(file, Math.max(filePages.get(file) ?? 0, rss - anonymous));
  }
  filePages.delete('');
  const own = sum(({ file, pss, anonymous }) => (file === '' ? pss : anonymous));
  const files = [...filePages.values()].reduce((total, bytes) => total + bytes, 0);
  return { rssBytes: sum(({ rss }) => rss), pssBytes: sum(({ pss }) => pss), aloneBytes: own + files };
}

/** proc(5): a line with addresses, permissions, offset, device, inode and path, then lines with figures in kB. */
function mappingsOf(pid: number): Mapping[] {
  return smaps(pid)
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter(Boolean)
    .map((text) => {
      const [, offset, inode, path] = /^\S+ \S+ (\S+) \S+ (\d+) *(.*)$/m.exec(text) ?? [];
      const bytes = (name: string): number =>
        1024 * Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
      const file = inode === '0' ? '' : `${path} ${offset}`;
      return { file, rss: bytes('Rss'), pss: bytes('Pss'), anonymous: bytes('Anonymous') };
    });
}

/** '' when it has ended. */
function smaps(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/smaps`, 'latin1');
  } catch {
    return '';
  }
}
