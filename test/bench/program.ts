// A program that a benchmark starts: its first line on standard output says that it is ready, its standard error goes
// to a file, and it is ended with all that it started. It has a process group of its own, so that Ctrl-C on the
// terminal reaches only the benchmark, which then ends everything in order.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { within } from '../../src/base/deadline.js';
import type { Lifecycle } from '../../src/base/lifecycle.js';

const READY_MS = 60_000;
const END_MS = 45_000;

export interface Command {
  name: string;
  argv: [string, ...string[]];
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** For its standard error. */
  logFile: string;
}

export class Program {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;
  /** Resolves when it has ended, however. */
  readonly gone: Promise<void>;

  private constructor(private readonly command: Command) {
    const log = openSync(command.logFile, 'a');
    const [file, ...args] = command.argv;
    const { env = process.env, cwd } = command;
    this.#child = spawn(file, args, { env, cwd, detached: true, stdio: ['pipe', 'pipe', log] });
    closeSync(log);
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#child.stdin!.on('error', () => {});
    this.gone = new Promise((resolve) =>
      ['error', 'exit'].forEach((event) => this.#child.once(event, () => resolve())),
    );
    this.#ended = new Promise((_resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => reject(this.fault(`ended (${code ?? signal})`)));
    });
    this.#ended.catch(() => {});
  }

  /** Starts it without waiting for a word. */
  static start(command: Command, lifecycle: Lifecycle): Program {
    const program = new Program(command);
    lifecycle.defer(command.name, () => program.stop());
    return program;
  }

  /** @returns the program and its first line. @throws Error with the end of its log when it ends before that. */
  static async startAndHear(command: Command, lifecycle: Lifecycle): Promise<{ program: Program; line: string }> {
    const program = Program.start(command, lifecycle);
    return { program, line: await program.hear(READY_MS) };
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The next line that it prints. */
  hear(withinMs: number): Promise<string> {
    const next = new Promise<string>((resolve) => this.#lines.once('line', resolve));
    return within(withinMs, `an answer of ${this.command.name}`, Promise.race([next, this.#ended]));
  }

  say(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => killGroup(this.pid), END_MS);
    await this.gone;
    clearTimeout(timer);
    killGroup(this.pid);
    this.#lines.close();
  }

  /** An error with the end of its log. */
  fault(what: string): Error {
    const log = readFileSync(this.command.logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
    return new Error(`${this.command.name} ${what}${log && `:\n${log}`}`);
  }
}

/** Whatever is left of it. */
function killGroup(leader: number): void {
  try {
    if (leader > 0) process.kill(-leader, 'SIGKILL');
  } catch {
    // All have ended.
  }
}
