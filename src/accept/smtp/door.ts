// What the SMTP listeners share: settings, and the parts of the inside that a session talks to. Both
// listeners of a process have the same door.
import type { Allowances } from '../../admit/allowance.js';
import type { Policy } from '../../admit/policy.js';
import type { Authenticator } from '../../authenticate/authenticator.js';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { MailMetrics } from '../../report/metrics.js';
import type { Submitter } from '../submit.js';
import type { DeadlineSettings } from './deadlines.js';
import type { Recording } from './recorder.js';

export interface SmtpSettings extends DeadlineSettings {
  hostname: string;
  allowInsecureAuth: 'never' | 'loopback' | 'always';
  /** Addresses and networks of the proxies whose PROXY header is believed; null = none. */
  trustedProxies: string[] | null;
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
  /** Undefined: no transcripts. */
  recording: Recording | undefined;
  newId: () => string;
  clock: Clock;
  log: Log;
  metrics: MailMetrics;
}
