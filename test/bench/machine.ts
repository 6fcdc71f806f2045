// What the figures depend on besides the code: the machine, its programs, and how long its disk takes for an fsync.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, readFileSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from './summary.js';

export interface Machine {
  cores: number;
  cpu: string;
  memoryGiB: number;
  kernel: string;
  node: string;
  redis: string;
  smtpServer: string;
  /** Where queues are kept. */
  fileSystem: string;
  /** Median of appending 4 KB and fdatasync. */
  syncMs: number;
  /** Settings of Postern that were not the default. */
  settings: string[];
}

const SYNCS = 200;
const FILE_SYSTEMS: Record<number, string> = {
  0xef53: 'ext4',
  0x01021994: 'tmpfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
};

/** @param dir where the subjects keep their queues. */
export function describeMachine(dir: string): Machine {
  const fileSystem = statfsSync(dir).type;
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    redis: redisVersion(),
    smtpServer: libraryVersion(),
    fileSystem: FILE_SYSTEMS[fileSystem] ?? `type 0x${fileSystem.toString(16)}`,
    syncMs: Math.round(syncTime(join(dir, 'sync')) * 1000) / 1000,
    settings: Object.keys(process.env).filter((name) => name.startsWith('POSTERN_')),
  };
}

export function machineLine(machine: Machine): string {
  const { cores, cpu, memoryGiB, kernel, node, redis, smtpServer, fileSystem, syncMs, settings } = machine;
  const facts = [`${cores} cores (${cpu})`, `${memoryGiB} GiB`, `Linux ${kernel}`, `Node ${node}`, `Redis ${redis}`];
  const more = [`smtp-server ${smtpServer}`, `${fileSystem}, 4 KB and fdatasync ${syncMs} ms`];
  return [...facts, ...more, ...(settings.length ? [`with ${settings.join(', ')}`] : [])].join('; ');
}

function redisVersion(): string {
  return / v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
}

function libraryVersion(): string {
  const file = new URL('../../node_modules/smtp-server/package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function syncTime(file: string): number {
  const handle = openSync(file, 'w');
  const block = Buffer.alloc(4096, 'x');
  const times = Array.from({ length: SYNCS }, () => {
    const startedAt = performance.now();
    writeSync(handle, block);
    fdatasyncSync(handle);
    return performance.now() - startedAt;
  });
  closeSync(handle);
  return median(times);
}
