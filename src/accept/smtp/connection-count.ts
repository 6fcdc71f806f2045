// How many connections there are, in total and from each network, and whether there may be one more. Promise: the
// limits hold over all processes of a server. A process that is far from them counts for itself and tells the parent
// now and then; near them it asks before it greets.
import { clientNetworks } from '../../base/address.js';

export interface ConnectionLimits {
  maxConnections: number;
  maxConnectionsPerAddress: number;
}

export type TooMany = 'too-many-connections' | 'too-many-connections-from-address';

/** Connections that came or went, by network. */
export type Changes = [network: string, change: number][];

/** The parent, which knows of all processes. */
export interface CommonCount {
  /** Whether one more may come; it is counted when it may. */
  ask(network: string): Promise<TooMany | undefined>;
  report(changes: Changes): void;
}

/** How soon the parent hears of changes: from a process that is near the limits, and from one that is far from them. */
const REPORT_MS = { near: 20, far: 250 };
/** Part of what is free whose change is reported at once. */
const AT_ONCE_SHARE = 1 / 4;

export class ConnectionCount {
  #total = 0;
  readonly #byNetwork = new Map<string, number>();

  get total(): number {
    return this.#total;
  }

  of(network: string): number {
    return this.#byNetwork.get(network) ?? 0;
  }

  /** Counts connections that came, or with a negative `change` went. */
  move(network: string, change: number): void {
    this.#total += change;
    const now = this.of(network) + change;
    if (now === 0) this.#byNetwork.delete(network);
    else this.#byNetwork.set(network, now);
  }

  /** Counts one more if it may come. */
  admit(network: string, limits: ConnectionLimits): TooMany | undefined {
    if (this.#total >= limits.maxConnections) return 'too-many-connections';
    if (this.of(network) >= limits.maxConnectionsPerAddress) return 'too-many-connections-from-address';
    this.move(network, 1);
    return undefined;
  }

  get all(): Changes {
    return [...this.#byNetwork];
  }
}

/** The connections of one process. */
export class ConnectionGate {
  readonly #count = new ConnectionCount();
  #unreported = new ConnectionCount();
  #timer: NodeJS.Timeout | undefined;
  /** Up to here no one need be asked: all processes together are not half way to the limits. */
  readonly #free: ConnectionLimits;

  constructor(
    private readonly limits: ConnectionLimits,
    processes: number,
    private readonly common?: CommonCount,
  ) {
    const share = (limit: number): number => Math.floor(limit / (2 * processes));
    this.#free = {
      maxConnections: share(limits.maxConnections),
      maxConnectionsPerAddress: share(limits.maxConnectionsPerAddress),
    };
  }

  /** Whether a connection may come; then `leave` must follow. @param address the client's. */
  admit(address: string): TooMany | undefined | Promise<TooMany | undefined> {
    const { address: network } = clientNetworks(address);
    if (!this.common) return this.#count.admit(network, this.limits);
    if (this.#count.admit(network, this.#free) === undefined) {
      this.#note(network, 1, false);
      return undefined;
    }
    this.#report();
    return this.common.ask(network).then((verdict) => {
      if (!verdict) this.#count.move(network, 1);
      return verdict;
    });
  }

  leave(address: string): void {
    const { address: network } = clientNetworks(address);
    const isNear = this.#isNear(network);
    this.#count.move(network, -1);
    this.#note(network, -1, isNear);
  }

  #isNear(network: string): boolean {
    const { maxConnections, maxConnectionsPerAddress } = this.#free;
    return this.#count.total >= maxConnections || this.#count.of(network) >= maxConnectionsPerAddress;
  }

  #note(network: string, change: number, isNear: boolean): void {
    if (!this.common) return;
    this.#unreported.move(network, change);
    const most = this.#free.maxConnectionsPerAddress * AT_ONCE_SHARE;
    if (Math.abs(this.#unreported.of(network)) > most) return this.#report();
    this.#timer ??= setTimeout(() => this.#report(), isNear ? REPORT_MS.near : REPORT_MS.far).unref();
  }

  #report(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const changes = this.#unreported.all;
    this.#unreported = new ConnectionCount();
    if (changes.length) this.common?.report(changes);
  }
}

/** The count of all processes, in the parent. */
export class ConnectionLedger {
  readonly #all = new ConnectionCount();
  readonly #byProcess = new Map<number, ConnectionCount>();

  ask(process: number, network: string, limits: ConnectionLimits): TooMany | undefined {
    const verdict = this.#all.admit(network, limits);
    if (!verdict) this.#of(process).move(network, 1);
    return verdict;
  }

  report(process: number, changes: Changes): void {
    for (const [network, change] of changes) {
      this.#all.move(network, change);
      this.#of(process).move(network, change);
    }
  }

  /** A process that has ended has no connections. */
  forget(process: number): void {
    for (const [network, count] of this.#of(process).all) this.#all.move(network, -count);
    this.#byProcess.delete(process);
  }

  #of(process: number): ConnectionCount {
    const known = this.#byProcess.get(process) ?? new ConnectionCount();
    this.#byProcess.set(process, known);
    return known;
  }
}
