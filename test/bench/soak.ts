// A load at half the peak rate for minutes: memory must be flat. What a process holds in the last third of the time is
// compared with what it held in the second; the first belongs to warming up.
import { setTimeout } from 'node:timers/promises';
import { cases } from './cases.js';
import { measure } from './measure.js';
import { memoryOf } from './memory.js';
import type { Subject } from './subject.js';

export interface SoakRow {
  process: string;
  /** Means of resident memory, bytes. */
  secondThird: number;
  lastThird: number;
  growth: number;
}

const SAMPLE_MS = 5000;
const work = cases[0]!;

export async function benchSoak(subject: Subject, minutes: number, print: (text: string) => void): Promise<SoakRow[]> {
  const peak = await measure(subject, work);
  const ratePerSecond = (peak.relayedPerSecond ?? peak.acceptedPerSecond) / 2;
  print(`\nsoak: ${subject.name}, ${minutes} minutes at ${ratePerSecond.toFixed(0)} messages a second`);
  const readings = new Map<string, number[]>();
  const done = new AbortController();
  const reading = readUntil(subject, readings, done.signal);
  const messages = Math.ceil(ratePerSecond * minutes * 60);
  const sample = await measure(subject, { ...work, messages, ratePerSecond }).finally(() => done.abort());
  await reading;
  const { p50, p99, max } = sample.latencyMs;
  const failures = Object.entries(sample.failures).map(([reason, count]) => `${count} times ${reason}`);
  print(
    `  ${sample.accepted} accepted, failures: ${failures.join(', ') || 'none'}, p50 ${p50} p99 ${p99} max ${max} ms`,
  );
  // Redis rewrites its file in children that live for seconds.
  const most = Math.max(...[...readings.values()].map(({ length }) => length));
  const lasting = [...readings].filter(([, { length }]) => length > most / 2);
  const rows = lasting.map(([process, bytes]) => rowOf(process, bytes));
  for (const { process, secondThird, lastThird, growth } of rows)
    print(`  ${process}: ${mb(secondThird)} MB, then ${mb(lastThird)} MB (${(growth * 100).toFixed(1)} %)`);
  return rows;
}

async function readUntil(subject: Subject, readings: Map<string, number[]>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const process of subject.processes()) {
      const name = `${process.name} ${process.pid}`;
      readings.set(name, [...(readings.get(name) ?? []), memoryOf([process]).rssBytes]);
    }
    await setTimeout(SAMPLE_MS, undefined, { signal }).catch(() => {});
  }
}

function rowOf(process: string, bytes: number[]): SoakRow {
  const third = Math.floor(bytes.length / 3);
  const [secondThird, lastThird] = [mean(bytes.slice(third, 2 * third)), mean(bytes.slice(2 * third))];
  return { process, secondThird, lastThird, growth: lastThird / secondThird - 1 };
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
