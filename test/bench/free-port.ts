// For peers that cannot be told to take any free port and say which.
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { Program } from './program.js';

const READY_MS = 60_000;

/** A port of 127.0.0.1 that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Resolves when the program greets on the port: it says nothing of its own when it is ready, so it is asked. */
export async function untilListening(port: number, program: Program): Promise<void> {
  const until = performance.now() + READY_MS;
  while (!(await greets(port))) {
    if (program.hasEnded || performance.now() > until) throw program.fault(`does not listen on port ${port}`);
    await setTimeout(50);
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', (greeting: Buffer) => {
      socket.end('QUIT\r\n');
      resolve(greeting.toString().startsWith('220'));
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
