// The built program as a user runs it: bin/postern serve as a child process, in a folder of its own, on free ports.
// Importing this file registers the clean-up: at the end of a test file nothing is left of any server it started, be
// it the supervisor, a worker, the embedded Redis or a folder, also after a failure, and also when this process dies.
// What the server said is then searched for keys and for its pepper.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Socket } from 'node:net';
import { environment, postern, POSTERN, type CommandOptions, type CommandResult } from './built-command.js';
import { processesOf, type ProcessFacts } from './built-processes.js';
import { expectNoSecrets } from './secret-search.js';
import { PATIENCE_MS, until } from './until.js';

export interface PosternOptions {
  /** Settings; ports are 0 and there is one worker unless these say otherwise. */
  env?: Record<string, string>;
  /** After `serve`. */
  args?: string[];
  /** `npm start` in place of `bin/postern serve`. */
  throughNpm?: boolean;
  /** A folder of an earlier server, to start on what it left. */
  dataDir?: string;
}

export interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Postern {
  readonly pid: number;
  readonly dataDir: string;
  /** The settings that commands need to find this server. */
  readonly env: Record<string, string>;
  readonly exited: Promise<End>;
  stdout(): string;
  stderr(): string;
  /** Everything that belongs to this server, the embedded Redis included. */
  processes(): ProcessFacts[];
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal and waits for the exit code (or the name of the signal that ended it), a minute at most. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
  /** SIGKILL to everything at once, as a power cut would. */
  killAll(): Promise<void>;
}

export interface ReadyPostern extends Postern {
  /** The line that said so, or with --json the document. */
  readonly ready: string;
  readonly smtp: number;
  readonly smtps: number;
  readonly http: string;
  /** The key that the first start printed. */
  key(): string;
  /** A command beside this server. */
  run(args: string[], options?: CommandOptions): Promise<CommandResult>;
  /** A command's --json answer; rejects when the command fails. */
  json<T>(args: string[], options?: CommandOptions): Promise<T>;
}

export const KEY = /SG\.([\w-]{22})\.[\w-]{43}/;
const releases: (() => Promise<void> | void)[] = [];

afterAll(async () => {
  const faults: unknown[] = [];
  for (const release of releases.splice(0).reverse())
    await Promise.resolve(release()).catch((fault) => faults.push(fault));
  if (faults.length > 0) throw faults[0];
});

/** A folder that is removed at the end, after every process that was started with data in it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-built-'));
  releases.push(async () => {
    await killEverything(() => processesOf(-1, folder));
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Runs `postern serve` without waiting for it to be ready. */
function launchPostern(options: PosternOptions = {}): Postern {
  const cwd = temporaryFolder();
  const dataDir = options.dataDir ?? join(cwd, 'data');
  const free = { POSTERN_SMTP_PORT: '0', POSTERN_SMTP_SECURE_PORT: '0', POSTERN_HTTP_PORT: '0', POSTERN_WORKERS: '1' };
  const env = { ...free, ...options.env, POSTERN_DATA_DIR: dataDir };
  const { throughNpm = false, args = [] } = options;
  const [program, ...words] = throughNpm ? ['npm', 'start', '--'] : [POSTERN, 'serve'];
  const child = spawn(program, [...words, ...args], {
    ...{
      cwd: throughNpm ? dirname(dirname(POSTERN)) : cwd,
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  });
  const pid = child.pid ?? -1;
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text) => (output[name] += String(text)));
  const exited = new Promise<End>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  const processes = () => processesOf(pid, dataDir);
  const killAll = () => killEverything(processes);
  const callOff = killWithUs(child, dataDir, cwd);
  releases.push(async () => {
    await killAll();
    callOff();
    expectNoSecrets('the log of a server', output.stderr, peppersOf(dataDir, env));
    // The first key alone is shown on purpose, and only here.
    const [first = ''] = KEY.exec(output.stdout) ?? [];
    expectNoSecrets('what a server printed', output.stdout.replaceAll(first, ''), peppersOf(dataDir, env));
  });
  return {
    ...{ pid, dataDir, env, exited, processes, killAll },
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    signal: (signal) => void child.kill(signal),
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return within(exited, PATIENCE_MS, `no end after ${signal}`, output).then(
        ({ code, signal }) => code ?? signal ?? 'nothing',
      );
    },
  };
}

/** The one that was set, and the one that was made. */
function peppersOf(dataDir: string, env: Record<string, string>): string[] {
  const [set, file] = [env.POSTERN_KEYS_PEPPER, join(dataDir, 'pepper')];
  const made = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  return [set, made].flatMap((pepper) => pepper || []);
}

/** Starts the server and resolves when it has printed its ready line; rejects with all it said when it does not. */
export async function startPostern(options: PosternOptions = {}): Promise<ReadyPostern> {
  const server = launchPostern(options);
  const failed = server.exited.then(({ code, signal }) => {
    throw new Error(`postern ended with ${code ?? signal}: ${server.stdout()}${server.stderr()}`);
  });
  failed.catch(() => {}); // A later end is not a failure.
  const found = until('the ready line', () => readyLine(server.stdout())).catch((error: Error) => {
    throw new Error(`${error.message}; it said: ${server.stdout()}${server.stderr()}`);
  });
  const ready = await Promise.race([found, failed]);
  const addresses = addressesOf(ready);
  const run = (args: string[], more: CommandOptions = {}) =>
    postern(args, { ...more, env: { ...server.env, ...more.env } });
  return Object.assign(server, {
    ready,
    smtp: portOf(addresses.smtp),
    smtps: portOf(addresses.smtps),
    http: `http://${addresses.http}`,
    key: () => keyIn(server.stdout()),
    run,
    json: async <T>(args: string[], more?: CommandOptions): Promise<T> => {
      const { code, stdout, stderr } = await run([...args, '--json'], more);
      if (code !== 0) throw new Error(`postern ${args.join(' ')} ended with ${code}: ${stderr}`);
      return JSON.parse(stdout) as T;
    },
  });
}

/** The first key in a text. */
export function keyIn(text: string): string {
  const key = KEY.exec(text)?.[0];
  if (!key) throw new Error(`there is no key in: ${text}`);
  return key;
}

function readyLine(stdout: string): string | undefined {
  const lines = stdout.split('\n').slice(0, -1);
  return lines.find((line) => line.startsWith('ready ') || line.startsWith('{'));
}

function addressesOf(ready: string): Record<string, string | undefined> {
  if (ready.startsWith('{')) return JSON.parse(ready) as Record<string, string>;
  const words = ready.split(' ').slice(1);
  return Object.fromEntries(words.map((word) => word.split('=') as [string, string]));
}

/** -1 for a listener that is off. */
function portOf(address: string | undefined): number {
  return address === undefined ? -1 : Number(address.slice(address.lastIndexOf(':') + 1));
}

async function killEverything(processes: () => ProcessFacts[]): Promise<void> {
  await until('everything killed', () => {
    const left = processes();
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It went by itself.
      }
    }
    return left.length === 0;
  });
}

function within<T>(promise: Promise<T>, ms: number, what: string, output: object): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} in ${ms} ms; it said: ${JSON.stringify(output).slice(-2000)}`)),
      ms,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * A shell that waits on a pipe from us. When the pipe breaks without a word this process died, by whatever signal, and
 * the shell kills what is left of the server. The folders are told through the pipe, so that the shell does not find
 * itself by its own command line.
 */
function killWithUs(child: ChildProcess, dataDir: string, cwd: string): () => void {
  const script = `read -r dir && read -r cwd && [ -n "$dir" ] || exit; read -r _ && exit; kill -9 -- "-$1"
    for each in /proc/[0-9]*; do
      grep -qaF -- "$dir" "$each/cmdline" "$each/environ" 2>/dev/null && kill -9 "\${each#/proc/}"
    done; rm -rf "$cwd"`;
  const stdio = ['pipe', 'ignore', 'ignore'] as const;
  const guard = spawn('sh', ['-c', script, 'sh', String(child.pid)], { stdio: [...stdio], detached: true });
  guard.unref();
  (guard.stdin as Socket).unref();
  guard.stdin.on('error', () => {});
  guard.stdin.write(`${dataDir}\n${cwd}\n`);
  return () => void guard.stdin.end('it is gone\n');
}
