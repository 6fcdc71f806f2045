// What a round leaves behind: processes, files, unfinished bodies, memory, and words in the log that no fault explains.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryOf } from '../bench/memory.js';
import { WORKERS, type World } from './world.js';

/** Bytes, when all is quiet. */
export interface MemoryReading {
  supervisor: number;
  workers: number;
  /** What Redis counts, less bodies that clients left unfinished and that will expire. */
  redis: number;
}

/** Lines of level error that tell of a fault that was made on purpose. */
const EXPECTED = /^(a worker ended|a worker did not start|the embedded Redis (is gone|did not start)|reload given up)/;
const ERROR = 50;
const UNFINISHED_SECONDS = 3600;

/** As many processes as there should be, and no other. */
export function isWholeAndNoMore({ site, kind }: World): boolean {
  const expected = 1 + WORKERS + (kind === 'embedded' ? 1 : 0);
  return site.supervisor !== undefined && site.workers().length === WORKERS && site.processes().length === expected;
}

/** Octets without a message must go by themselves. @returns how many there are, and what is wrong with them. */
export async function unfinishedBodies({ store: { client } }: World): Promise<{ bytes: number; wrongs: string[] }> {
  let bytes = 0;
  const wrongs: string[] = [];
  for await (const keys of client.scanStream({ match: 'postern:{s0}:b:*', count: 1000 }) as AsyncIterable<string[]>) {
    for (const key of keys) {
      const seconds = await client.ttl(key);
      bytes += await client.strlen(key);
      if (seconds < 0 || seconds > UNFINISHED_SECONDS)
        wrongs.push(`${key} stays in Redis (it expires in ${seconds} s)`);
    }
  }
  return { bytes, wrongs };
}

export async function readMemory({ site, store: { client } }: World, unfinishedBytes: number): Promise<MemoryReading> {
  const rss = (pids: number[]): number => memoryOf(pids.map((pid) => ({ pid, name: '' }))).rssBytes;
  const used = Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
  const supervisor = rss(site.supervisor ? [site.supervisor] : []);
  return { supervisor, workers: rss(site.workers()), redis: used - unfinishedBytes };
}

/** Reads a site's log on from where it stopped the last time. */
export class LogWatch {
  #read = 0;

  constructor(private readonly file: string) {}

  /** @returns the lines that no fault explains. */
  unexpected(): string[] {
    const text = readFileSync(this.file);
    const fresh = text.toString('utf8', this.#read);
    this.#read = text.length;
    return fresh.split('\n').filter((line) => line !== '' && !isExpected(line));
  }
}

/**
 * A process that is killed may leave half a line. A worker that is born while its supervisor dies says that in the words
 * of Node (EPIPE), and a start in the middle of another's end says that the port is in use.
 */
function isExpected(line: string): boolean {
  try {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    return level < ERROR || EXPECTED.test(msg);
  } catch {
    return !/^\w*Error: /.test(line) || /EPIPE|EADDRINUSE/.test(line);
  }
}

/** Of a site that has ended. */
export function filesLeft({ dir }: World): string[] {
  const inTmp = readdirSync(join(dir, 'tmp'));
  const all = readdirSync(join(dir, 'data'), { recursive: true, encoding: 'utf8' });
  return [...inTmp, ...all.filter((name) => /(^|\/)(temp-|.*\.(lock|tmp|stale|new)(\.|$))/.test(name))];
}
