// The entry of a worker process: waits for the supervisor's word, serves, drains. A worker whose supervisor is gone
// drains by itself, so that no process is left behind.
import cluster from 'node:cluster';
import { AggregatorRegistry } from 'prom-client';
import type { CommonCount, TooMany } from './accept/smtp/connection-count.js';
import { startWorker, type Worker } from './app.js';
import { systemClock } from './base/clock.js';
import { DiskSpace, diskUse } from './base/disk-space.js';
import { EmbeddedRedis } from './base/embedded-redis.js';
import { messageOf, OperatorError } from './base/fault.js';
import { createLog, type Log } from './base/log.js';
import { embeddedRedisConf, type Config } from './config.js';
import { MailMetrics } from './report/metrics.js';
import type { FromWorker, Runtime, ToWorker } from './worker-messages.js';

const metrics = new MailMetrics();
const waiting = new Map<number, (text: string) => void>();
const knocking = new Map<number, (verdict: TooMany | undefined) => void>();
let questions = 0;
let context: { config: Config; runtime: Runtime; log: Log } | undefined;
let worker: Worker | undefined;
let leaving = false;

function tell(message: FromWorker): void {
  if (process.connected) process.send!(message);
}

function allMetrics(): Promise<string> {
  return new Promise((resolve) => {
    const id = ++questions;
    waiting.set(id, resolve);
    tell({ type: 'metrics-wanted', id });
  });
}

/** The supervisor counts the connections of all workers. Without it this one is about to leave, and lets nobody in. */
const connections: CommonCount = {
  ask: (network) =>
    new Promise((resolve) => {
      if (!process.connected) return resolve('too-many-connections');
      const id = ++questions;
      knocking.set(id, resolve);
      tell({ type: 'connection-wanted', id, network });
    }),
  report: (changes) => tell({ type: 'connections', changes }),
};

async function start(config: Config, runtime: Runtime): Promise<void> {
  const log = createLog(config.log, { pid: process.pid });
  context = { config, runtime, log };
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a defect ended this worker; it will be replaced');
    log.flush(() => process.exit(70));
    setTimeout(() => process.exit(70), 500);
  });
  try {
    const disk = new DiskSpace(config.redis.minFreeBytes, systemClock, () => diskUse(config.dataDir));
    const hasRoom = (): boolean => !runtime.embedded || !disk.isLow;
    worker = await startWorker(config, runtime, { log, metrics, allMetrics, hasRoom, connections });
    tell({ type: 'listening', addresses: worker.addresses });
  } catch (error) {
    tell({
      type: 'failed',
      message: error instanceof OperatorError ? error.message : ((error as Error).stack ?? messageOf(error)),
    });
  }
}

/** Another worker has taken its place: its clients may finish in their own time. */
async function retire(): Promise<void> {
  await worker?.retire();
  await leave();
}

/** A worker that does not serve yet has nothing to finish. */
async function leave(): Promise<void> {
  if (leaving) return;
  leaving = true;
  if (!context || !worker) process.exit(0);
  const { config, runtime, log } = context;
  // Even a defect in draining must not leave a process behind.
  setTimeout(() => process.exit(1), (config.drainSeconds + 10) * 1000).unref();
  await worker.drain(!process.connected);
  if (!process.connected && runtime.embedded) await stopRedis(config, log);
  process.exit(0);
}

async function stopRedis(config: Config, log: Log): Promise<void> {
  const { dataDir, redis } = config;
  await new EmbeddedRedis({ dataDir, confFile: embeddedRedisConf, maxMemoryBytes: redis.maxMemoryBytes }, log).stop();
}

// Without this the cluster module ends the process at the moment in which the supervisor dies.
cluster.worker!.exitedAfterDisconnect = true;
// The terminal sends Ctrl-C to every process of the group; the supervisor alone decides what it means.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => void leave());
process.on('disconnect', () => void leave());
// What is said to a supervisor that has just died, before the end of it is seen (EPIPE).
cluster.worker!.on('error', () => {});
AggregatorRegistry.setRegistries([metrics.registry]);
new AggregatorRegistry();
process.on('message', (message: ToWorker) => {
  if (message.type === 'start') void start(message.config, message.runtime);
  else if (message.type === 'drain') void leave();
  else if (message.type === 'retire') void retire();
  else if (message.type === 'certificates') worker?.setCertificates(message.set);
  else if (message.type === 'metrics') {
    waiting.get(message.id)?.(message.text);
    waiting.delete(message.id);
  } else if (message.type === 'connection') {
    knocking.get(message.id)?.(message.verdict);
    knocking.delete(message.id);
  }
});
tell({ type: 'online' });
