// Runs a program to its end, as a user at a shell does, and gives back what it said. The environment is this one
// without any POSTERN_ setting, so that a developer's own configuration does not reach a test.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PATIENCE_MS } from './until.js';

export interface CommandOptions {
  env?: Record<string, string>;
  /** Standard input; nothing when it is left out. */
  input?: string | Buffer;
  cwd?: string;
  /** Killed after this time; a minute when not given. */
  timeoutMs?: number;
}

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Standard output as it came, for octets that are no text. */
  octets: Buffer;
}

export const POSTERN = join(__dirname, '../../bin/postern');

/** Runs bin/postern to its end. */
export function postern(args: string[], options?: CommandOptions): Promise<CommandResult> {
  return execute(POSTERN, args, options);
}

/** Resolves when the program has ended, whatever its exit code; rejects when it cannot be run or takes too long. */
export function execute(program: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { input, cwd, timeoutMs = PATIENCE_MS } = options;
  const child = spawn(program, args, { cwd, env: environment(options.env), stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => {}); // A program need not read what it is given.
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      const said = Buffer.concat([...stdout, ...stderr]).toString();
      reject(new Error(`${program} ${args.join(' ')} did not end in ${timeoutMs} ms; it said: ${said}`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      const octets = Buffer.concat(stdout);
      resolve({ code, stdout: octets.toString(), stderr: Buffer.concat(stderr).toString(), octets });
    });
  });
}

/** This environment less what would configure Postern or colour its output, and `more`. */
export function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const foreign = /^(POSTERN_|NO_COLOR$|FORCE_COLOR$|CI$|NODE_OPTIONS$|JEST_)/;
  const own = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return { ...Object.fromEntries(own), ...more };
}
