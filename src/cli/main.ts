// The command line: `postern <noun> <verb>`. Exit codes: 0 done, 1 failed, 2 wrong usage.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { OperatorError } from '../base/fault.js';
import { maskKeys } from '../base/mask.js';
import { StoreUnavailable } from '../base/redis.js';
import { auditCommand } from './audit.js';
import { configCommand } from './config.js';
import { explainCommand } from './explain.js';
import { guardCommand } from './guard.js';
import { keysCommand } from './keys.js';
import { messagesCommand } from './messages.js';
import { sendCommand } from './send.js';
import { serveCommand } from './serve.js';
import { sessionsCommand } from './sessions.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

function makeProgram(): Command {
  const program = new Command('postern')
    .description('SMTP submission server with an API key for every application')
    .version(version)
    .option('--config <file>', 'a YAML file with settings (see config/default.yml)')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(maskKeys(text)) })
    .addHelpText('after', '\nExample:\n  postern keys create --name billing\n  postern serve');
  serveCommand(program);
  keysCommand(program);
  auditCommand(program);
  messagesCommand(program);
  explainCommand(program);
  guardCommand(program);
  sessionsCommand(program);
  sendCommand(program);
  configCommand(program);
  return program;
}

/** Help and version are answers; everything else that commander ends for is wrong usage. */
function usageExitCode(error: CommanderError): number {
  return error.exitCode === 0 ? 0 : 2;
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return usageExitCode(error);
  const known = error instanceof OperatorError || error instanceof StoreUnavailable;
  const text = known ? error.message : ((error as Error).stack ?? String(error));
  process.stderr.write(maskKeys(`postern: ${text}\n`));
  return 1;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await makeProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
