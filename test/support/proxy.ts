// A wire between two parts that can be cut: a TCP proxy on a port of its own, in front of a TCP port or a unix socket.
// It cuts both directions at once, cuts in the middle of what goes one way, holds everything up, or refuses to connect.
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';

interface Wire {
  /** The side that connected to us. */
  near: Socket;
  far: Socket;
  lastRequestAt: number;
}

export type Direction = 'requests' | 'replies';

export class Proxy {
  readonly #wires = new Set<Wire>();
  #server: Server | undefined;
  #cutInside: Direction | undefined;

  constructor(
    readonly port: number,
    private readonly target: NetConnectOpts,
  ) {}

  /** Listens, unless it does already. */
  async open(): Promise<void> {
    if (this.#server) return;
    const server = createServer({ noDelay: true }, (near) => this.#join(near));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  /** Ends every connection without a word and takes no more: to its clients, the program behind it is dead. */
  close(): void {
    this.#server?.close();
    this.#server = undefined;
    this.cut();
  }

  /** Ends every connection without a word. */
  cut(): void {
    for (const { near, far } of this.#wires) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** The next connection with something to say this way is cut when half of it has passed. */
  cutInside(direction: Direction): void {
    this.#cutInside = direction;
  }

  /** No cut is to come any more. */
  mend(): void {
    this.#cutInside = undefined;
  }

  /** Holds up all that is open, in both directions, until it is called with false. */
  stall(isHeld: boolean): void {
    for (const { near, far } of this.#wires) for (const socket of [near, far]) socket[isHeld ? 'pause' : 'resume']();
  }

  /** The client port of the connection that sent something last. */
  get busiestPort(): number | undefined {
    return [...this.#wires].sort((a, b) => b.lastRequestAt - a.lastRequestAt)[0]?.near.remotePort;
  }

  #join(near: Socket): void {
    const far = connect({ ...this.target, noDelay: true } as NetConnectOpts);
    const wire: Wire = { near, far, lastRequestAt: 0 };
    this.#wires.add(wire);
    near.on('data', () => (wire.lastRequestAt = performance.now()));
    this.#forward(wire, near, far, 'requests');
    this.#forward(wire, far, near, 'replies');
  }

  #forward(wire: Wire, from: Socket, to: Socket, direction: Direction): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#cutInside === direction) return this.#cutWire(wire, to, chunk);
      if (!to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#wires.delete(wire);
      to.destroy();
    });
  }

  #cutWire({ near, far }: Wire, to: Socket, chunk: Buffer): void {
    this.#cutInside = undefined;
    to.write(chunk.subarray(0, chunk.length >> 1), () => {
      near.destroy();
      far.destroy();
    });
  }
}
