// The sink as a process of its own, and how a benchmark learns that everything has arrived there.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lifecycle } from '../../src/base/lifecycle.js';
import type { Process } from './processes.js';
import { Program } from './program.js';

const SINK = fileURLToPath(new URL('./sink.ts', import.meta.url));
/** From the last message accepted to the last one at the sink. */
const ARRIVAL_MS = 300_000;

interface Tally {
  messages: number;
  bytes: number;
  lastAt: number;
}

export class Sink {
  private constructor(
    private readonly program: Program,
    readonly port: number,
  ) {}

  static async start(dir: string, lifecycle: Lifecycle): Promise<Sink> {
    const argv: [string, ...string[]] = [process.execPath, '--import', 'tsx', SINK, '--port', '0', '--stdin-bound'];
    const command = { name: 'sink', argv, logFile: join(dir, 'sink.log') };
    const { program, line } = await Program.startAndHear(command, lifecycle);
    return new Sink(program, (JSON.parse(line) as { port: number }).port);
  }

  get process(): Process {
    return { pid: this.program.pid, name: 'sink' };
  }

  /** Messages so far. */
  async count(): Promise<number> {
    this.program.say('count');
    return (await this.#answer()).messages;
  }

  /** @returns when the last of so many messages came, milliseconds since the epoch. */
  async until(messages: number): Promise<number> {
    this.program.say(`until ${messages}`);
    return (await this.#answer()).lastAt;
  }

  async #answer(): Promise<Tally> {
    return JSON.parse(await this.program.hear(ARRIVAL_MS)) as Tally;
  }
}
