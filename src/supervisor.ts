// The parent of all: makes the embedded Redis, the certificate and the pepper, starts the workers, replaces one that
// dies, and brings everything down in order. It touches no message itself.
import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AggregatorRegistry } from 'prom-client';
import { messageOf, OperatorError } from './base/fault.js';
import type { Log } from './base/log.js';
import { pause } from './base/pause.js';
import type { Config } from './config.js';
import type { Addresses, FromWorker, Runtime, ToWorker } from './worker-messages.js';

const WORKER_FILE = fileURLToPath(new URL('./worker.js', import.meta.url));
/** A worker that lived shorter than this died of its start; the next one waits longer and longer. */
const SHORT_LIFE_MS = 10_000;
/** Before anything was up, so many short lives mean that nothing ever will be. */
const MAX_FAILED_STARTS = 5;
const LONGEST_PAUSE_MS = 10_000;
/** Beyond the drain, for closing connections. */
const GRACE_MS = 5000;

export class Supervisor {
  readonly #aggregator = new AggregatorRegistry();
  #shortLives = 0;
  #isUp = false;
  #draining = false;
  #failed: (message: string) => void = () => {};

  constructor(
    private config: Config,
    private readonly runtime: Omit<Runtime, 'ticketKeys'>,
    private readonly log: Log,
  ) {}

  /** Starts all workers. @returns the addresses, when every listener of every worker is up. @throws OperatorError */
  async start(): Promise<Addresses> {
    // Workers accept for themselves. Handed over by the supervisor, a connection would cost a message between
    // processes, and one on its way to a worker that is killed would stay open for ever with nobody behind it.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ exec: WORKER_FILE, serialization: 'advanced', args: [] });
    const runtime: Runtime = { ...this.runtime, ticketKeys: randomBytes(48).toString('base64') };
    const failed = new Promise<never>((_resolve, reject) => {
      this.#failed = (message) => reject(new OperatorError(message));
    });
    const up = Array.from({ length: this.config.workers }, () => this.#fork(runtime));
    const [addresses] = await Promise.race([Promise.all(up), failed]);
    this.#isUp = true;
    this.config = withPorts(this.config, addresses!);
    failed.catch(() => {});
    this.#failed = (message) => this.log.error({ fault: message }, 'a worker did not start');
    this.#watchCertificate();
    return addresses!;
  }

  reloadCertificate(): void {
    for (const worker of this.#workers()) say(worker, { type: 'reload-certificate' });
  }

  /** Lets the workers finish, and ends those that do not. */
  async drain(): Promise<void> {
    this.#draining = true;
    const gone = this.#workers().map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    for (const worker of this.#workers()) say(worker, { type: 'drain' });
    const stop = new AbortController();
    const late = pause(this.config.drainSeconds * 1000 + GRACE_MS, stop.signal).then(() => this.kill());
    await Promise.all(gone);
    stop.abort();
    await late;
  }

  /** Ends the workers at once. What was accepted is in Redis and is delivered after the next start. */
  kill(): void {
    this.#draining = true;
    for (const worker of this.#workers()) worker.process.kill('SIGKILL');
  }

  #workers(): Worker[] {
    return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
  }

  /** @returns the addresses when the listeners of the worker, or of one that took its place, are up. */
  #fork(runtime: Runtime): Promise<Addresses> {
    return new Promise((resolve) => this.#launch(runtime, resolve));
  }

  #launch(runtime: Runtime, onListening: (addresses: Addresses) => void): void {
    const worker = cluster.fork();
    const bornAt = Date.now();
    worker.once('exit', (code, signal) => {
      this.log[this.#draining ? 'debug' : 'error']({ worker: worker.process.pid, code, signal }, 'a worker ended');
      if (!this.#draining) void this.#replace(runtime, bornAt, signal || `exit code ${code}`, onListening);
    });
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'online') say(worker, { type: 'start', config: this.config, runtime });
      else if (message.type === 'listening') onListening(message.addresses);
      else if (message.type === 'failed') {
        this.#failed(message.message);
        worker.process.kill('SIGKILL');
      } else if (message.type === 'metrics-wanted') void this.#answerMetrics(worker, message.id);
    });
  }

  async #replace(
    runtime: Runtime,
    bornAt: number,
    end: string,
    onListening: (addresses: Addresses) => void,
  ): Promise<void> {
    const lived = Date.now() - bornAt;
    this.#shortLives = lived < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    if (!this.#isUp && this.#shortLives >= MAX_FAILED_STARTS) {
      return this.#failed(`the workers end at their start (${end}); what they said is above`);
    }
    await pause(this.#shortLives <= 1 ? 0 : Math.min(100 * 2 ** this.#shortLives, LONGEST_PAUSE_MS));
    if (!this.#draining) this.#launch(runtime, onListening);
  }

  async #answerMetrics(worker: Worker, id: number): Promise<void> {
    const text = await this.#aggregator.clusterMetrics().catch(() => '');
    say(worker, { type: 'metrics', id, text });
  }

  /** Certificates are renewed by programs that replace the file: the folder is watched, and bursts count once. */
  #watchCertificate(): void {
    if (!this.config.tls.cert) return;
    let timer: NodeJS.Timeout | undefined;
    try {
      const watcher = watch(dirname(this.runtime.certificate.cert), () => {
        clearTimeout(timer);
        timer = setTimeout(() => this.reloadCertificate(), 500);
      });
      watcher.on('error', () => {});
      watcher.unref();
    } catch (error) {
      this.log.warn({ fault: messageOf(error) }, 'the certificate is not watched; send SIGHUP after a change');
    }
  }
}

/** Port 0 is any free port once: a worker that replaces the last one must be found where that was. */
function withPorts(config: Config, addresses: Addresses): Config {
  const portOf = <T>(address: string | undefined, configured: T) =>
    address ? Number(address.split(':').at(-1)) : configured;
  const { smtp, http } = config;
  return {
    ...config,
    smtp: { ...smtp, port: portOf(addresses.smtp, smtp.port), securePort: portOf(addresses.smtps, smtp.securePort) },
    http: { ...http, port: portOf(addresses.http, http.port) },
  };
}

function say(worker: Worker, message: ToWorker): void {
  // A worker that dies at this moment is replaced; that it was not told is no fault of ours.
  if (worker.isConnected()) worker.send(message, () => {});
}
