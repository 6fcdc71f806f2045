// Chaos: `npm run chaos`, `npm run chaos -- --help`. Clients submit while everything is killed, cut, held up and filled,
// and then every id that was answered 250 is looked for. docs/reliability.md says what is claimed, and the figures.
// Everything that is started is stopped and every folder removed, also on Ctrl-C or after a fault.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lifecycle } from '../../src/base/lifecycle.js';
import { runChaos } from './chaos.js';
import { readOptions, usage, type CommandLine } from './options.js';
import { failure, roundLine, summary } from './table.js';

const print = (text: string): void => console.log(text);

async function chaos(options: CommandLine, lifecycle: Lifecycle): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-chaos-'));
  if (options.keep) print(`logs and data stay in ${dir}`);
  else lifecycle.defer('the temporary folder', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  print(`seed ${options.seed}`);
  const { rounds, wrongs } = await runChaos(options, dir, lifecycle, (result) => print(roundLine(result)));
  if (options.jsonFile) writeFileSync(options.jsonFile, `${JSON.stringify({ ...options, rounds, wrongs }, null, 1)}\n`);
  const failed = rounds.filter((round) => round.wrongs.length > 0);
  for (const round of failed) print(`\n${failure(round, options.seed)}`);
  for (const wrong of wrongs) print(`\n${wrong}`);
  print(`\n${summary(rounds)}`);
  return failed.length === 0 && wrongs.length === 0;
}

function optionsOrUsage(): CommandLine | 'help' {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`chaos: ${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}

async function main(): Promise<void> {
  const options = optionsOrUsage();
  if (options === 'help') return print(usage);
  const lifecycle = new Lifecycle((name, error) => console.error(`chaos: cannot end ${name}: ${String(error)}`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void lifecycle.close().then(() => process.exit(130)));
  }
  try {
    if (!(await chaos(options, lifecycle))) process.exitCode = 1;
  } finally {
    await lifecycle.close();
  }
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(`chaos: ${error instanceof Error ? error.stack : String(error)}`);
    process.exit(1);
  },
);
