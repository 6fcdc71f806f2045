// The parent of all: makes the embedded Redis, the certificate and the pepper, starts the workers, replaces one that
// dies, renews them all one after the other, and brings everything down in order. It touches no message itself.
import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { AggregatorRegistry } from 'prom-client';
import { ConnectionLedger } from './accept/smtp/connection-count.js';
import { readCertificateSet, type CertificateSet, type CertificateSources } from './base/certificate-set.js';
import { watchCertificates } from './base/certificate-watch.js';
import { systemClock } from './base/clock.js';
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
/** Half of a worker's room for what is short-lived, MiB: with 16, Node's own, a tenth more of its time went into tidying up. */
const YOUNG_MIB = 32;
/**
 * What a worker's long-lived memory may come to before it is tidied up for the first time, MiB, octets of messages
 * included. With Node's own bound, near the 20 that it holds anyway, messages of 100 KB had all of it looked through
 * every tenth of a second, which took a quarter of a worker's time.
 */
const OLD_MIB = 128;
/** Beyond the drain, for closing connections. */
const GRACE_MS = 5000;

/** What the workers are started with, and where the certificates are. */
export type SupervisorRuntime = Omit<Runtime, 'ticketKeys' | 'certificates'> & {
  certificateSources: CertificateSources;
};

/** Who waits for a worker: the listeners are up, or it ended before they were. */
interface Birth {
  onListening: (addresses: Addresses) => void;
  /** Without it, one that ends at its start is replaced like any other. */
  onFailed?: (why: string) => void;
}

export class Supervisor {
  readonly #connections = new ConnectionLedger();
  readonly #aggregator = new AggregatorRegistry();
  readonly #runtime: Runtime;
  readonly #sources: CertificateSources;
  /** Those that others have replaced and that let their clients finish. */
  readonly #retired = new Set<Worker>();
  /** Those that accept connections. */
  readonly #serving = new Set<Worker>();
  /** Where all of them listen, once it is known. */
  #addresses: Addresses | undefined;
  #shortLives = 0;
  #isUp = false;
  #draining = false;
  #isRolling = false;
  #reloading: Promise<void> = Promise.resolve();
  #failed: (message: string) => void = () => {};

  /** @throws OperatorError when the certificate is not usable */
  constructor(
    private config: Config,
    { certificateSources, ...runtime }: SupervisorRuntime,
    private readonly log: Log,
  ) {
    this.#sources = certificateSources;
    const ticketKeys = randomBytes(48).toString('base64');
    this.#runtime = { ...runtime, ticketKeys, certificates: this.#readCertificates() };
  }

  /** Starts all workers. @returns the addresses, when every listener of every worker is up. @throws OperatorError */
  async start(): Promise<Addresses> {
    // Workers accept for themselves. Handed over by the supervisor, a connection would cost a message between
    // processes, and one on its way to a worker that is killed would stay open for ever with nobody behind it.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    const memory = [`--max-semi-space-size=${YOUNG_MIB}`, `--initial-old-space-size=${OLD_MIB}`];
    const execArgv = [...process.execArgv, ...memory];
    cluster.setupPrimary({ exec: WORKER_FILE, serialization: 'advanced', args: [], execArgv });
    const failed = new Promise<never>((_resolve, reject) => {
      this.#failed = (message) => reject(new OperatorError(message));
    });
    const up = Array.from(
      { length: this.config.workers },
      () => new Promise<Addresses>((resolve) => this.#launch({ onListening: resolve })),
    );
    const [addresses] = await Promise.race([Promise.all(up), failed]);
    this.#isUp = true;
    failed.catch(() => {});
    this.#failed = (message) => this.log.error({ fault: message }, 'a worker did not start');
    const { cert, certificates } = this.config.tls;
    if (cert || certificates) watchCertificates(this.#sources, this.log, () => this.reloadCertificate());
    return addresses!;
  }

  /** Reads all certificates again. One that does not work leaves the old ones in force. @returns whether they do */
  reloadCertificate(): boolean {
    try {
      const set = this.#readCertificates();
      this.#runtime.certificates = set;
      for (const worker of this.#workers()) say(worker, { type: 'certificates', set });
      this.log.info('certificate read again');
      return true;
    } catch (error) {
      this.log.error({ fault: messageOf(error) }, 'the new certificate is not usable; the old one stays in force');
      return false;
    }
  }

  /**
   * Rolling restart: a new worker for each old one, one after the other, with `config` (and the code that is there
   * now). An old one takes nothing new from the moment in which the new one serves, and its clients finish. A new
   * worker that does not come up ends the restart, and the old ones go on.
   */
  reload(config: Config): Promise<void> {
    this.#reloading = this.#reloading.then(async () => {
      this.#isRolling = true;
      await this.#roll(config);
      this.#isRolling = false;
      this.#retireSurplus();
    });
    return this.#reloading;
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

  /** One that dies before its turn is replaced by itself, and by the roll: the oldest beyond the number go. */
  #retireSurplus(): void {
    if (this.#isRolling) return;
    for (const worker of [...this.#serving].slice(0, -this.config.workers)) this.#retire(worker);
  }

  async #roll(config: Config): Promise<void> {
    const { config: before } = this;
    const addresses = this.#addresses;
    const old = this.#workers().filter((worker) => !this.#retired.has(worker));
    this.config = keepPorts(config, before);
    this.#addresses = undefined;
    for (let at = 0; at < Math.max(old.length, config.workers) && !this.#draining; at++) {
      const fault = at < config.workers ? await this.#startOne() : undefined;
      if (fault !== undefined) {
        this.config = before;
        this.#addresses = addresses;
        return this.log.error({ fault }, 'reload given up: a new worker did not start; the old ones go on');
      }
      const worker = old[at];
      if (worker) this.#retire(worker);
    }
    this.log.info({ workers: config.workers }, 'reloaded: all workers are new');
  }

  /** @returns why it did not start, undefined when it serves. */
  #startOne(): Promise<string | undefined> {
    return new Promise((resolve) => this.#launch({ onListening: () => resolve(undefined), onFailed: resolve }));
  }

  #retire(worker: Worker): void {
    this.#retired.add(worker);
    this.#serving.delete(worker);
    say(worker, { type: 'retire' });
  }

  #launch(birth: Birth): void {
    const worker = cluster.fork();
    const bornAt = Date.now();
    let { onFailed } = birth;
    worker.once('exit', (code, signal) => {
      this.#serving.delete(worker);
      this.#connections.forget(worker.id);
      const isExpected = this.#draining || this.#retired.delete(worker);
      this.log[isExpected ? 'debug' : 'error']({ worker: worker.process.pid, code, signal }, 'a worker ended');
      const why = signal || `exit code ${code}`;
      if (onFailed) return onFailed(why);
      if (!isExpected) void this.#replace(bornAt, why, birth);
    });
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'online') this.#tellToStart(worker);
      else if (message.type === 'listening') {
        onFailed = undefined;
        if (this.#listens(worker, message.addresses)) birth.onListening(message.addresses);
        this.#retireSurplus();
      } else if (message.type === 'failed') {
        if (onFailed) onFailed(message.message);
        else this.#failed(message.message);
        worker.process.kill('SIGKILL');
      } else if (message.type === 'metrics-wanted') void this.#answerMetrics(worker, message.id);
      // What a worker said before it ended may arrive behind its end, and would count for ever.
      else if (worker.isDead()) return;
      else if (message.type === 'connections') this.#connections.report(worker.id, message.changes);
      else if (message.type === 'connection-wanted') {
        const verdict = this.#connections.ask(worker.id, message.network, this.config.smtp);
        say(worker, { type: 'connection', id: message.id, verdict });
      }
    });
  }

  /**
   * Port 0 is any free port once, and stays that one as long as a worker holds it (node:cluster shares what was asked
   * for in the same words). When none does, the next worker is told the number.
   */
  #tellToStart(worker: Worker): void {
    if (this.#serving.size === 0 && this.#addresses) this.config = withPorts(this.config, this.#addresses);
    say(worker, { type: 'start', config: this.config, runtime: this.#runtime });
  }

  /** @returns false for a worker that came up somewhere else, because the last that held port 0 died meanwhile. */
  #listens(worker: Worker, addresses: Addresses): boolean {
    this.#addresses ??= addresses;
    if (isDeepStrictEqual(addresses, this.#addresses)) return Boolean(this.#serving.add(worker));
    worker.process.kill('SIGKILL');
    return false;
  }

  async #replace(bornAt: number, end: string, { onListening }: Birth): Promise<void> {
    const lived = Date.now() - bornAt;
    this.#shortLives = lived < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    if (!this.#isUp && this.#shortLives >= MAX_FAILED_STARTS) {
      return this.#failed(`the workers end at their start (${end}); what they said is above`);
    }
    await pause(this.#shortLives <= 1 ? 0 : Math.min(100 * 2 ** this.#shortLives, LONGEST_PAUSE_MS));
    if (!this.#draining) this.#launch({ onListening });
  }

  async #answerMetrics(worker: Worker, id: number): Promise<void> {
    const text = await this.#aggregator.clusterMetrics().catch(() => '');
    say(worker, { type: 'metrics', id, text });
  }

  #readCertificates(): CertificateSet {
    const { set, remarks } = readCertificateSet(this.#sources, systemClock.now());
    for (const remark of remarks) this.log.warn(remark);
    return set;
  }
}

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

/** A port that is any free one stays the one that it was. */
function keepPorts(config: Config, before: Config): Config {
  const kept = <T>(port: T, was: T): T => (port === 0 ? was : port);
  const { smtp, http } = config;
  return {
    ...config,
    smtp: {
      ...smtp,
      port: kept(smtp.port, before.smtp.port),
      securePort: kept(smtp.securePort, before.smtp.securePort),
    },
    http: { ...http, port: kept(http.port, before.http.port) },
  };
}

function say(worker: Worker, message: ToWorker): void {
  // A worker that dies at this moment is replaced; that it was not told is no fault of ours.
  if (worker.isConnected()) worker.send(message, () => {});
}
