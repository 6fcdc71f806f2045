// Connections to next hops, kept open between messages. Promise: a connection carries one message at a time, is
// dropped after any doubt about its state, and none is kept longer than the settings say.
import type { Clock } from '../base/clock.js';
import { HopConnection, HopFault, type HopTimeouts, type OutgoingMessage, type SendResult } from './hop-connection.js';
import type { NextHop } from './next-hop.js';

export interface PoolSettings extends HopTimeouts {
  hostname: string;
  maxMessagesPerConnection: number;
  idleConnectionSeconds: number;
  hopPauseSeconds: number;
}

interface Idle {
  connection: HopConnection;
  since: number;
}

export class HopPool {
  readonly #idle = new Map<string, Idle[]>();
  readonly #pausedUntil = new Map<string, number>();
  readonly #open = new Set<HopConnection>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(
    private readonly settings: PoolSettings,
    private readonly clock: Clock,
    private readonly onCount: (open: number) => void,
  ) {
    this.#sweeper = setInterval(() => this.#sweep(), 1000).unref();
  }

  /** Whether a next hop could not be reached lately and is passed over for now. */
  isPaused(hop: NextHop): boolean {
    return (this.#pausedUntil.get(hop.label) ?? 0) > this.clock.now();
  }

  /**
   * Sends on a connection. A kept one that turns out to be dead, or tired, before it took anything of the message is
   * replaced once. @throws HopFault when none can be made
   */
  async send(hop: NextHop, message: () => OutgoingMessage): Promise<SendResult> {
    const kept = this.#takeIdle(hop);
    const result = kept && (await this.#use(kept, message()));
    if (result && !isStale(result)) return result;
    return this.#use(await this.#connect(hop), message());
  }

  /** Cuts every connection, in the middle of a message too. */
  abort(): void {
    for (const connection of this.#open) connection.close();
  }

  /** Closes what is idle and keeps nothing from now on. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const connection of this.#open) connection.quit();
    this.#idle.clear();
  }

  async #use(connection: HopConnection, message: OutgoingMessage): Promise<SendResult> {
    const result = await connection.send(message);
    this.#giveBack(connection);
    return result;
  }

  #takeIdle(hop: NextHop): HopConnection | undefined {
    const list = this.#idle.get(hop.label) ?? [];
    for (let next = list.pop(); next; next = list.pop()) {
      if (next.connection.isOpen) return next.connection;
    }
    return undefined;
  }

  async #connect(hop: NextHop): Promise<HopConnection> {
    try {
      const connection = await HopConnection.open(hop, this.settings.hostname, this.settings, (ended) =>
        this.#ended(ended),
      );
      this.#open.add(connection);
      this.onCount(this.#open.size);
      this.#pausedUntil.delete(hop.label);
      return connection;
    } catch (error) {
      if (error instanceof HopFault) {
        this.#pausedUntil.set(hop.label, this.clock.now() + this.settings.hopPauseSeconds * 1000);
      }
      throw error;
    }
  }

  #giveBack(connection: HopConnection): void {
    if (!connection.isOpen) return;
    if (connection.sent >= this.settings.maxMessagesPerConnection) return connection.quit();
    const list = this.#idle.get(connection.hop.label) ?? [];
    list.push({ connection, since: this.clock.now() });
    this.#idle.set(connection.hop.label, list);
  }

  #ended(connection: HopConnection): void {
    this.#open.delete(connection);
    this.onCount(this.#open.size);
  }

  #sweep(): void {
    const oldest = this.clock.now() - this.settings.idleConnectionSeconds * 1000;
    for (const [label, list] of this.#idle) {
      for (const { connection, since } of list) if (since <= oldest) connection.quit();
      const kept = list.filter(({ connection, since }) => since > oldest && connection.isOpen);
      if (kept.length) this.#idle.set(label, kept);
      else this.#idle.delete(label);
    }
  }
}

/** Whether a kept connection had ended, or was ended by the next hop, before anything was at stake. */
function isStale({ rest }: SendResult): boolean {
  if (!('fault' in rest)) return false;
  const { inDoubt, response, unfit } = rest.fault.details;
  return !inDoubt && !unfit && (response === undefined || response.startsWith('421'));
}
