// Ports of 127.0.0.1 for faults: one that nobody listens on, and one that somebody else holds.
import { createServer, type AddressInfo } from 'node:net';

/** Free a moment ago; nothing answers there. */
export async function closedPort(): Promise<number> {
  const held = await holdPort();
  await held.release();
  return held.port;
}

export async function holdPort(): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const release = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, release };
}
