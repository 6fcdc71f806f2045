// Why a listener could not be opened, in words that name the setting.
import { hostPort } from './address.js';
import { codeOf, messageOf, OperatorError } from './fault.js';

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
