// What listeners have in common: how many connections may wait for them, and why one could not be opened, in words that
// name the setting.
import { hostPort } from './address.js';
import { codeOf, messageOf, OperatorError } from './fault.js';

/**
 * Connections that wait to be taken; the system cuts it to its own bound (Linux: net.core.somaxconn). Beyond it Linux drops
 * the last packet of a handshake and, with SYN cookies, forgets the client, which then waits for a greeting for ever.
 */
export const BACKLOG = 65_535;

const REASONS: Record<string, string> = {
  EADDRINUSE: 'the port is in use by another program',
  EACCES: 'ports below 1024 need more rights',
  EADDRNOTAVAIL: 'this machine does not have that address (setting host)',
  ENOTFOUND: 'that address is not known (setting host)',
};

export function listenFault(error: unknown, host: string, port: number, setting: string): OperatorError {
  return new OperatorError(
    `${setting}: cannot listen on ${hostPort(host, port)}: ${REASONS[codeOf(error)] ?? messageOf(error)}`,
  );
}
