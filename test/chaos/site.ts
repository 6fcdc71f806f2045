// The built program, run as a service manager runs it: whenever it ends without having been told to, it is started
// again, on the same ports and the same data folder. Everything that belongs to it is known by that folder.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Lifecycle } from '../../src/base/lifecycle.js';
import { Program } from '../bench/program.js';
import { processesOf, type ProcessFacts } from '../support/built-processes.js';
import { until } from '../support/until.js';

export const POSTERN = fileURLToPath(new URL('../../bin/postern', import.meta.url));
const RESTART_MS = 100;
const READY_MS = 30_000;
const STOP_MS = 60_000;

export interface SitePorts {
  smtp: number;
  http: number;
}

export class Site {
  readonly logFile: string;
  #program: Program | undefined;
  #stopping = false;
  /** What starts that came to nothing said. */
  readonly failedStarts: string[] = [];

  constructor(
    readonly dataDir: string,
    readonly ports: SitePorts,
    /** The whole environment of the program. */
    readonly env: NodeJS.ProcessEnv,
  ) {
    this.logFile = join(dataDir, '..', 'log');
  }

  /** Resolves when it serves; from then on it is kept running. */
  async start(): Promise<void> {
    await this.#launch();
    void this.#keepRunning();
  }

  async #launch(): Promise<void> {
    const argv: [string, ...string[]] = [process.execPath, POSTERN, 'serve', '--json'];
    const command = { name: 'postern', argv, env: this.env, logFile: this.logFile };
    // The clean-up of `stop` goes by the data folder and covers those that were killed too.
    const program = (this.#program = Program.start(command, new Lifecycle()));
    await program.hear(READY_MS).catch((error: unknown) => {
      signal(program.pid, 'SIGKILL');
      throw error;
    });
  }

  async #keepRunning(): Promise<void> {
    while (!this.#stopping) {
      await this.#program!.gone;
      await setTimeout(RESTART_MS);
      if (!this.#stopping) await this.#launch().catch((error: Error) => this.failedStarts.push(error.message));
    }
  }

  /** Everything that runs, the embedded Redis included. */
  processes(): ProcessFacts[] {
    return processesOf(-1, this.dataDir);
  }

  workers(): number[] {
    return this.processes()
      .filter(({ commandLine }) => commandLine.includes('worker.js'))
      .map(({ pid }) => pid);
  }

  /** Undefined between two starts. */
  get supervisor(): number | undefined {
    return this.#program && !this.#program.hasEnded ? this.#program.pid : undefined;
  }

  /** SIGKILL to all of it at once, the embedded Redis included, as a power cut would. */
  killAll(): void {
    for (const { pid } of this.processes()) signal(pid, 'SIGKILL');
  }

  /** The process that holds the connection from this port of the machine. */
  ownerOf(port: number): number | undefined {
    const socket = `socket:[${inodeOf(port)}]`;
    return this.workers().find((pid) => openFiles(pid).includes(socket));
  }

  /** Asks it to end, and waits until nothing of it is left. @throws Error that names what is. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const pid = this.supervisor;
    if (pid) signal(pid, 'SIGTERM');
    await until('an end', () => this.processes().length === 0, STOP_MS).catch(() => {
      const left = this.processes().map(({ pid: each, commandLine }) => `${each} ${commandLine.replaceAll('\n', ' ')}`);
      this.killAll();
      throw new Error(`after SIGTERM there are still: ${left.join('; ')}`);
    });
  }

  /** Whatever state it is in. */
  async destroy(): Promise<void> {
    this.#stopping = true;
    await until('everything killed', () => {
      this.killAll();
      return this.processes().length === 0;
    });
  }
}

/** A process may have gone meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It went by itself.
  }
}

/** proc(5): addresses in hexadecimal, the inode in the tenth column; '' when there is no such connection. */
function inodeOf(port: number): string {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return rows.find(([, address = '']) => address.endsWith(local))?.[9] ?? '';
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).map((name) => readlinkSync(join(folder, name)));
  } catch {
    return [];
  }
}
