// The absolute bounds in time of one session. Numbers, not timers: the listener asks every session now and then, which
// costs nothing to ten thousand of them. Promise: no trickle of octets puts any of them off, except that a message on
// its way may go on as long as something of it keeps coming and its own bound has not passed.
import { refuse, type Refusal } from '../../message/refusal.js';

export interface DeadlineSettings {
  idleTimeoutSeconds: number;
  loginTimeoutSeconds: number;
  transactionTimeoutSeconds: number;
  dataTimeoutSeconds: number;
}

export class Deadlines {
  #login = Infinity;
  #command = Infinity;
  #transaction = Infinity;
  #data = Infinity;
  #octetsSeen = 0;

  constructor(private readonly settings: DeadlineSettings) {}

  /** The client is a stranger from here on, and has not been answered yet. */
  startLogin(now: number): void {
    this.#login = now + this.settings.loginTimeoutSeconds * 1000;
    this.#command = now + this.settings.idleTimeoutSeconds * 1000;
    this.endTransaction();
  }

  endLogin(): void {
    this.#login = Infinity;
  }

  /** The last command has been answered: the next is waited for, whole. */
  answered(now: number): void {
    this.#command = now + this.settings.idleTimeoutSeconds * 1000;
  }

  startTransaction(now: number): void {
    this.#transaction = now + this.settings.transactionTimeoutSeconds * 1000;
  }

  startData(now: number): void {
    this.#data = now + this.settings.dataTimeoutSeconds * 1000;
  }

  endTransaction(): void {
    this.#transaction = Infinity;
    this.#data = Infinity;
  }

  /** The bound that has passed, if any. @param octets that the connection has brought so far. */
  passed(now: number, octets: number): Refusal | undefined {
    const { settings } = this;
    if (now >= this.#login) return refuse('login-too-slow', { limit: settings.loginTimeoutSeconds });
    if (now >= this.#data) return refuse('data-too-slow', { limit: settings.dataTimeoutSeconds });
    if (now >= this.#transaction) return refuse('transaction-too-slow', { limit: settings.transactionTimeoutSeconds });
    if (this.#data !== Infinity && octets !== this.#octetsSeen) this.answered(now);
    this.#octetsSeen = octets;
    return now >= this.#command ? refuse('idle-too-long') : undefined;
  }
}
