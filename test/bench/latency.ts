// Latency at half the peak rate, where a server is busy but not swamped: at the peak it only says how long the queue
// of the load generator is. The peak is that of the same run.
import { cases } from './cases.js';
import { measure, type Sample } from './measure.js';
import type { Subject } from './subject.js';
import { rateOf, type CaseResult } from './summary.js';

const SECONDS = 10;
const work = cases[0]!;

/** By subject. A subject whose peak was not measured is measured for it first. */
export async function benchLatency(
  subjects: Subject[],
  results: CaseResult[],
  print: (text: string) => void,
): Promise<Record<string, Sample>> {
  const latencies: Record<string, Sample> = {};
  print(`\nlatency at half the peak rate for ${SECONDS} s: ${work.title}`);
  for (const subject of subjects) {
    const ratePerSecond = (await peakOf(subject, results)) / 2;
    const sample = await measure(subject, { ...work, messages: Math.ceil(ratePerSecond * SECONDS), ratePerSecond });
    const { p50, p99, max } = sample.latencyMs;
    const cpu = `CPU ${sample.cpuMsPerMessage.toFixed(3)} ms per message`;
    print(`  ${subject.name}: ${ratePerSecond.toFixed(0)}/s, p50 ${p50} ms, p99 ${p99} ms, max ${max} ms, ${cpu}`);
    latencies[subject.name] = sample;
  }
  return latencies;
}

async function peakOf(subject: Subject, results: CaseResult[]): Promise<number> {
  const rows = results.find((result) => result.case.name === work.name)?.rows;
  const row = rows?.find((candidate) => candidate.subject === subject.name);
  return rateOf(row ?? (await measure(subject, work)));
}
