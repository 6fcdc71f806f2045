// The ceiling: see bare-server.ts.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processTree } from './processes.js';
import { Program } from './program.js';
import type { Bench, Subject } from './subject.js';

const SERVER = fileURLToPath(new URL('./bare-server.ts', import.meta.url));

export async function startBare(name: string, { lifecycle, dir }: Bench): Promise<Subject> {
  const argv: [string, ...string[]] = [process.execPath, '--import', 'tsx', SERVER];
  const { program, line } = await Program.startAndHear({ name, argv, logFile: join(dir, 'log') }, lifecycle);
  return {
    name,
    port: (JSON.parse(line) as { port: number }).port,
    auth: { user: 'apikey', pass: 'any' },
    sink: undefined,
    // tsx leaves its compiler running.
    processes: () => processTree(program.pid).filter(({ name: program }) => program !== 'esbuild'),
    isIdle: () => Promise.resolve(true),
    remarks: ['one process of the smtp-server library, greeting at once, any password accepted, messages thrown away'],
  };
}
