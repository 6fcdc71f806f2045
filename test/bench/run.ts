// The benchmarks: `npm run bench`, `npm run bench -- --help`. All subjects run on this machine in one go and take
// turns, so that what disturbs one disturbs all; medians and ratios are what counts. Everything that is started is
// stopped and every folder removed, also on Ctrl-C or after a fault.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Lifecycle } from '../../src/base/lifecycle.js';
import { startBare } from './bare-subject.js';
import { startHaraka } from './haraka-subject.js';
import { benchLatency } from './latency.js';
import { benchLong, isLong } from './long.js';
import { describeMachine, machineLine } from './machine.js';
import { readOptions, usage, type BenchOptions } from './options.js';
import { startPostfix } from './postfix-subject.js';
import { startAccepting, startCapturing, startRelaying } from './postern-subject.js';
import { memoryOf, type Memory } from './memory.js';
import { runCase } from './rounds.js';
import type { StartSubject, Subject } from './subject.js';
import type { CaseResult } from './summary.js';

const IDLE_MS = 40_000;

/** By when, then by subject. */
type MemoryReadings = Record<string, Record<string, Memory>>;

const ours: Record<string, StartSubject> = {
  bare: startBare,
  'postern-accept': startAccepting,
  'postern-capture': startCapturing,
  'postern-relay': startRelaying,
};
const peers: Record<string, StartSubject> = { postfix: startPostfix, haraka: startHaraka };

async function bench(options: BenchOptions, lifecycle: Lifecycle): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  lifecycle.defer('the temporary folder', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  const machine = describeMachine(dir);
  print(machineLine(machine));
  const save = (figures: object): void => {
    if (options.jsonFile) writeFileSync(options.jsonFile, `${JSON.stringify({ machine, ...figures }, null, 1)}\n`);
  };
  if (isLong(options)) {
    save(await benchLong(options, { lifecycle, dir, profileDir: options.profileDir }, print));
    return true;
  }
  const subjects = await startAll(options, dir, lifecycle);
  const memory: MemoryReadings = { 'after the start': memoryOfAll(subjects) };
  if (options.idle) memory['idle, before any load'] = await idleMemoryOfAll(subjects);
  const results: CaseResult[] = [];
  for (const work of options.cases) {
    results.push(await runCase(work, subjects, options, print));
    save({ results });
  }
  memory['after the load'] = memoryOfAll(subjects);
  if (options.idle) memory['idle, after the load'] = await idleMemoryOfAll(subjects);
  printMemory(memory);
  const latency = options.latency ? await benchLatency(subjects, results, print) : undefined;
  save({ results, memory, latency });
  return results.every(({ rows }) => rows.every(({ failures }) => failures === 0));
}

async function startAll(options: BenchOptions, dir: string, lifecycle: Lifecycle): Promise<Subject[]> {
  const all = options.peers || options.subjects ? { ...ours, ...peers } : ours;
  const chosen = options.subjects ?? Object.keys(all);
  const subjects: Subject[] = [];
  for (const name of chosen) {
    const start = all[name];
    if (!start) throw new Error(`no subject '${name}'; there are ${Object.keys(all).join(', ')}`);
    const ownDir = join(dir, name);
    mkdirSync(ownDir);
    const subject = await start(name, { lifecycle, dir: ownDir, profileDir: options.profileDir });
    subjects.push(subject);
    for (const remark of subject.remarks) print(`${name}: ${remark}`);
  }
  return subjects;
}

function memoryOfAll(subjects: Subject[]): Record<string, Memory> {
  return Object.fromEntries(subjects.map((subject) => [subject.name, memoryOf(subject.processes())]));
}

/** A runtime gives memory back when it has been idle for a while; nothing tells when it has. */
async function idleMemoryOfAll(subjects: Subject[]): Promise<Record<string, Memory>> {
  await setTimeout(IDLE_MS);
  return memoryOfAll(subjects);
}

function printMemory(memory: MemoryReadings): void {
  print('\nmemory of all processes of a subject: MB alone on the machine (PSS, RSS)');
  for (const [when, bySubject] of Object.entries(memory)) {
    const parts = Object.entries(bySubject).map(
      ([name, { aloneBytes, pssBytes, rssBytes }]) => `${name} ${mb(aloneBytes)} (${mb(pssBytes)}, ${mb(rssBytes)})`,
    );
    print(`  ${when}: ${parts.join(', ')}`);
  }
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
const print = (text: string): void => console.log(text);

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') return print(usage);
  if (options.profileDir) mkdirSync((options.profileDir = resolve(options.profileDir)), { recursive: true });
  const lifecycle = new Lifecycle((name, error) => console.error(`bench: cannot end ${name}: ${String(error)}`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void lifecycle.close().then(() => process.exit(130)));
  }
  try {
    if (!(await bench(options, lifecycle))) process.exitCode = 1;
  } finally {
    await lifecycle.close();
  }
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
