// From the samples of all rounds to one row for each subject of a case: medians, and the range of the rate.
import type { BenchCase } from './cases.js';
import type { CoresUsed } from './machine-load.js';
import type { Sample } from './measure.js';

/** What others may use of the machine before a round counts as disturbed; the kernel's own threads are among them. */
export const QUIET_CORES = 0.2;

export interface Row {
  subject: string;
  acceptedPerSecond: number;
  relayedPerSecond: number | undefined;
  /** Of `rateOf`, the slowest and the fastest round. */
  range: [number, number];
  latencyMs: { p50: number; p99: number; max: number };
  cpuMsPerMessage: number;
  userMsPerMessage: number;
  systemMsPerMessage: number;
  cpuMsByProcess: Record<string, number>;
  cores: CoresUsed;
  failures: number;
  surplus: number;
}

export interface CaseResult {
  case: BenchCase;
  rows: Row[];
  /** By subject, in the order of the rounds. */
  samples: Record<string, Sample[]>;
}

/** The rate that counts: end to end where mail is relayed. */
export function rateOf({
  acceptedPerSecond,
  relayedPerSecond,
}: Pick<Row, 'acceptedPerSecond' | 'relayedPerSecond'>): number {
  return relayedPerSecond ?? acceptedPerSecond;
}

export function summarize(subject: string, samples: Sample[]): Row {
  const mid = (value: (sample: Sample) => number): number => median(samples.map(value));
  const relays = samples.every(({ relayedPerSecond }) => relayedPerSecond !== undefined);
  const speeds = samples.map(rateOf);
  const names = [...new Set(samples.flatMap(({ cpuMsByProcess }) => Object.keys(cpuMsByProcess)))];
  return {
    subject,
    acceptedPerSecond: mid((sample) => sample.acceptedPerSecond),
    relayedPerSecond: relays ? mid(rateOf) : undefined,
    range: [Math.min(...speeds), Math.max(...speeds)],
    latencyMs: {
      ...{ p50: mid(({ latencyMs }) => latencyMs.p50), p99: mid(({ latencyMs }) => latencyMs.p99) },
      max: Math.max(...samples.map(({ latencyMs }) => latencyMs.max)),
    },
    cpuMsPerMessage: mid((sample) => sample.cpuMsPerMessage),
    userMsPerMessage: mid((sample) => sample.userMsPerMessage),
    systemMsPerMessage: mid((sample) => sample.systemMsPerMessage),
    cpuMsByProcess: Object.fromEntries(names.map((name) => [name, mid((sample) => sample.cpuMsByProcess[name] ?? 0)])),
    cores: {
      ...{ bench: mid(({ cores }) => cores.bench), subject: mid(({ cores }) => cores.subject) },
      others: mid(({ cores }) => cores.others),
    },
    failures: samples.flatMap(({ failures }) => Object.values(failures)).reduce((sum, count) => sum + count, 0),
    surplus: samples.reduce((sum, sample) => sum + sample.surplus, 0),
  };
}

/** The least disturbed of `samples`, `count` of them, in their order. */
export function quietest(samples: Sample[], count: number): Sample[] {
  const limit = samples.map(({ cores }) => cores.others).toSorted((a, b) => a - b)[
    Math.min(count, samples.length) - 1
  ]!;
  return samples.filter(({ cores }) => cores.others <= limit).slice(0, count);
}

export const isQuiet = ({ cores }: Sample): boolean => cores.others <= QUIET_CORES;

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}
