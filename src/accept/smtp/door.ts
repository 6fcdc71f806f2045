// What the SMTP listeners share: settings, the parts of the inside that a session talks to, and the counts of
// connections. Both listeners of a process have the same door.
import type { Allowances } from '../../admit/allowance.js';
import type { Policy } from '../../admit/policy.js';
import type { Authenticator } from '../../authenticate/authenticator.js';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { MailMetrics } from '../../report/metrics.js';
import type { Submitter } from '../submit.js';
import type { DeadlineSettings } from './deadlines.js';

export interface SmtpSettings extends DeadlineSettings {
  hostname: string;
  allowInsecureAuth: 'never' | 'loopback' | 'always';
  maxMessageBytes: number;
  maxMessagesPerConnection: number;
  maxConnections: number;
  maxConnectionsPerAddress: number;
  maxAuthFailures: number;
  maxErrors: number;
  maxCommands: number;
}

export interface SmtpDoor {
  settings: SmtpSettings;
  authenticator: Authenticator;
  policy: Policy;
  allowances: Allowances;
  submitter: Submitter;
  /** Told of every login that is refused, for the audit log. */
  refusedLogins: { note(verdict: string, address: string, keyId: string | undefined): void };
  newId: () => string;
  clock: Clock;
  log: Log;
  metrics: MailMetrics;
}

/** Connections of this process, in total and by client address. */
export class ConnectionCount {
  #total = 0;
  readonly #byAddress = new Map<string, number>();

  get total(): number {
    return this.#total;
  }

  of(address: string): number {
    return this.#byAddress.get(address) ?? 0;
  }

  add(address: string): void {
    this.#total++;
    this.#byAddress.set(address, this.of(address) + 1);
  }

  remove(address: string): void {
    this.#total--;
    const left = this.of(address) - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }
}
