// What the supervisor and its workers say to each other. Secrets travel here, never through the environment, which
// other programs of the same user could read.
import type { Changes, TooMany } from './accept/smtp/connection-count.js';
import type { CertificateSet } from './base/certificate-set.js';
import type { Config } from './config.js';

export type Role = 'accept' | 'deliver';
export const allRoles: Role[] = ['accept', 'deliver'];

/** What the supervisor found out at start, the same for all its workers. */
export interface Runtime {
  roles: Role[];
  redisUrl: string;
  /** The embedded Redis is used: the last process to leave stops it. */
  embedded: boolean;
  pepper: string;
  certificates: CertificateSet;
  /** 48 octets, base64. */
  ticketKeys: string;
}

/** `host:port` of each listener that is open. */
export interface Addresses {
  smtp?: string;
  smtps?: string;
  http?: string;
}

export type ToWorker =
  | { type: 'start'; config: Config; runtime: Runtime }
  | { type: 'drain' }
  | { type: 'retire' }
  | { type: 'certificates'; set: CertificateSet }
  | { type: 'metrics'; id: number; text: string }
  | { type: 'connection'; id: number; verdict: TooMany | undefined };

export type FromWorker =
  | { type: 'online' }
  | { type: 'listening'; addresses: Addresses }
  | { type: 'failed'; message: string }
  | { type: 'metrics-wanted'; id: number }
  | { type: 'connection-wanted'; id: number; network: string }
  | { type: 'connections'; changes: Changes };
