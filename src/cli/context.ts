// What every command is given: the configuration on demand, and where its answer goes.
import type { Command } from 'commander';
import { loadConfig, processEnv, type Config } from '../config.js';
import { standardOutput, type Output } from './output.js';

export interface GlobalOptions {
  config?: string;
  json?: boolean;
}

/** Reads the configuration that `--config`, POSTERN_CONFIG and the environment name. @throws OperatorError */
export function configOf(command: Command, env = processEnv()): Config {
  const { config } = command.optsWithGlobals<GlobalOptions>();
  return loadConfig(env, ...(config ? [config] : []));
}

export const wantsJson = (command: Command): boolean => Boolean(command.optsWithGlobals<GlobalOptions>().json);

/** Prints the answer as JSON where that was asked for, else as `print` says. */
export function answer(command: Command, value: unknown, print: (out: Output) => void): void {
  if (wantsJson(command)) standardOutput.json(value);
  else print(standardOutput);
}
