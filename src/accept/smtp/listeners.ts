// The two listeners of a process, opened one after the other. Promise: what was opened is drained with everything else,
// also when the second one could not be opened.
import { hostPort } from '../../base/address.js';
import type { Contexts } from '../../base/certificate-set.js';
import type { Lifecycle } from '../../base/lifecycle.js';
import type { ConnectionGate } from './connection-count.js';
import type { SmtpDoor } from './door.js';
import { SmtpListener } from './server.js';

type Port = number | 'off';

interface ListenerSettings {
  host: string;
  drainSeconds: number;
  ports: { smtp: Port; smtps: Port };
}

interface OpenListener {
  name: 'smtp' | 'smtps';
  /** `host:port`. */
  address: string;
  listener: SmtpListener;
}

const SETTINGS = { smtp: 'smtp.port', smtps: 'smtp.securePort' } as const;

/** @throws OperatorError that names the setting. */
export async function openSmtp(
  { host, drainSeconds, ports }: ListenerSettings,
  door: SmtpDoor,
  gate: ConnectionGate,
  contexts: Contexts,
  lifecycle: Lifecycle,
): Promise<OpenListener[]> {
  const opened: OpenListener[] = [];
  lifecycle.defer('the SMTP listeners', () =>
    Promise.all(opened.map(({ listener }) => listener.drain(drainSeconds * 1000))),
  );
  for (const name of ['smtp', 'smtps'] as const) {
    const port = ports[name];
    if (port === 'off') continue;
    const listener = new SmtpListener(door, gate, name === 'smtps', contexts);
    const address = hostPort(host, await listener.open(host, port, SETTINGS[name]));
    opened.push({ name, address, listener });
  }
  return opened;
}
