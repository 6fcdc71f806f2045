// One measurement: a load on a subject, until everything that follows from it has ended, and what it cost.
import { setTimeout } from 'node:timers/promises';
import type { BenchCase } from './cases.js';
import { makeMessage, runLoad, type LoadResult } from './load.js';
import { coresBetween, readLoad, type CoresUsed } from './machine-load.js';
import { cpuBetween, cpuOf, totalMs, type CpuTimes } from './processes.js';
import type { Subject } from './subject.js';

/** No server tells when its queue is empty, so it is asked, seldom enough not to show in the figures. */
const IDLE_POLL_MS = 50;
const IDLE_MS = 120_000;

export interface Sample {
  accepted: number;
  failures: Record<string, number>;
  acceptedPerSecond: number;
  /** From the first MAIL (or connection) to the last message at the sink; undefined where nothing is relayed. */
  relayedPerSecond: number | undefined;
  /** Messages that reached the sink more than once, net of lost ones. */
  surplus: number;
  latencyMs: LoadResult['latencyMs'];
  /** Of a message, all processes together. */
  cpuMsPerMessage: number;
  userMsPerMessage: number;
  systemMsPerMessage: number;
  /** Of a message, by name of process. */
  cpuMsByProcess: Record<string, number>;
  cores: CoresUsed;
}

export interface Work extends BenchCase {
  ratePerSecond?: number;
}

/** @throws Error when nothing was accepted, or what was accepted did not arrive. */
export async function measure(subject: Subject, work: Work): Promise<Sample> {
  const arrived = (await subject.sink?.count()) ?? 0;
  const helpers = subject.sink ? [subject.sink.process] : [];
  const [before, loadBefore] = [cpuOf(subject.processes()), readLoad(helpers)];
  const load = await runLoad({ ...work, ...loadTarget(subject), message: makeMessage(work.sizeBytes) });
  if (load.messages === 0) throw new Error(`${subject.name} took nothing: ${JSON.stringify(load.failures)}`);
  const lastAt = await subject.sink?.until(arrived + load.messages);
  await untilIdle(subject);
  const cpu = cpuBetween(before, cpuOf(subject.processes()));
  const cores = coresBetween(loadBefore, readLoad(helpers), totalMs(cpu));
  const surplus = subject.sink ? (await subject.sink.count()) - arrived - load.messages : 0;
  return { ...rates(load, lastAt), surplus, ...costs(cpu, load.messages), cores };
}

function loadTarget({ port, auth }: Subject): { port: number; auth: Subject['auth'] } {
  return { port, auth };
}

async function untilIdle(subject: Subject): Promise<void> {
  const until = performance.now() + IDLE_MS;
  while (!(await subject.isIdle())) {
    if (performance.now() > until) throw new Error(`${subject.name} still has mail after ${IDLE_MS / 1000} s`);
    await setTimeout(IDLE_POLL_MS);
  }
}

type Rates = Pick<Sample, 'accepted' | 'failures' | 'acceptedPerSecond' | 'relayedPerSecond' | 'latencyMs'>;

function rates({ messages, failures, perSecond, startedAt, latencyMs }: LoadResult, lastAt: number | undefined): Rates {
  const relayedPerSecond = lastAt === undefined ? undefined : (messages * 1000) / (lastAt - startedAt);
  return { accepted: messages, failures, acceptedPerSecond: perSecond, relayedPerSecond, latencyMs };
}

type Costs = Pick<Sample, 'cpuMsPerMessage' | 'userMsPerMessage' | 'systemMsPerMessage' | 'cpuMsByProcess'>;

function costs(cpu: CpuTimes, messages: number): Costs {
  const times = Object.entries(cpu);
  const userMs = times.reduce((sum, [, time]) => sum + time.userMs, 0);
  const byProcess = times.map(([name, time]) => [name, (time.userMs + time.systemMs) / messages] as const);
  return {
    cpuMsPerMessage: totalMs(cpu) / messages,
    userMsPerMessage: userMs / messages,
    systemMsPerMessage: (totalMs(cpu) - userMs) / messages,
    cpuMsByProcess: Object.fromEntries(byProcess),
  };
}
