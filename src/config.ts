// The only reader of the environment and of configuration files. Out comes one frozen, typed Config, or every
// problem at once: its path, the value (never a secret's) and what is allowed.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import type * as z from 'zod';
import { OperatorError, messageOf } from './base/fault.js';
import { maskUrl } from './base/mask.js';
import { schema, type Config } from './config-schema.js';

export type { Config } from './config-schema.js';

type Env = Record<string, string | undefined>;
type Tree = { [name: string]: unknown };
interface Layer {
  source: string;
  values: Map<string, unknown>;
}

const DEFAULTS_FILE = fileURLToPath(new URL('../config/default.yml', import.meta.url));
/** Names after POSTERN_ that are not settings. */
const NOT_SETTINGS = new Set(['POSTERN_CONFIG', 'POSTERN_API_KEY', 'POSTERN_API_KEY_FILE']);
const SECRET = /^(keys\.pepper|redis\.url|relay\.url)$/;

/** The environment of this process. */
export const processEnv = (): Env => process.env;

/** Takes secrets out of the environment, so that no child process inherits them. */
export function forgetSecrets(env: Env): void {
  for (const name of ['POSTERN_KEYS_PEPPER', 'POSTERN_REDIS_URL', 'POSTERN_RELAY_URL', 'POSTERN_API_KEY'])
    delete env[name];
}

/** The key that `postern send` uses: POSTERN_API_KEY, or the file that POSTERN_API_KEY_FILE names. */
export function apiKeyOf(env: Env): string | undefined {
  const file = env.POSTERN_API_KEY_FILE;
  return env.POSTERN_API_KEY ?? (file ? readFileSync(file, 'utf8').trim() : undefined);
}

/** The redis.conf that the embedded server starts with. */
export const embeddedRedisConf = fileURLToPath(new URL('../config/redis.conf', import.meta.url));

/**
 * Reads defaults, then `file` (or POSTERN_CONFIG), then the environment.
 * @throws OperatorError that lists every problem.
 */
export function loadConfig(env: Env, file = env.POSTERN_CONFIG): Config {
  const defaults = readLayer(DEFAULTS_FILE);
  const paths = [...defaults.values.keys()];
  const problems: string[] = [];
  const layers = [defaults, ...(file ? [readLayer(file)] : []), envLayer(env, paths, problems)];
  const result = schema.safeParse(merge(layers));
  if (!result.success) problems.push(...result.error.issues.flatMap((issue) => describe(issue, layers)));
  problems.push(...(result.success ? crossChecks(result.data) : []));
  if (problems.length) throw new OperatorError(`the configuration is not usable:\n  ${problems.join('\n  ')}`);
  return deepFreeze(result.data!);
}

/** `smtp.maxMessageBytes` -> `POSTERN_SMTP_MAX_MESSAGE_BYTES`. */
export function envName(path: string): string {
  return `POSTERN_${path
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase()}`;
}

/** Every setting and its value, secrets masked, in the order of default.yml. */
export function maskedSettings(config: Config): [path: string, value: unknown][] {
  return [...flatten(config as unknown as Tree)].map(([path, value]) => [path, mask(path, value)]);
}

function readLayer(file: string): Layer {
  if (!existsSync(file)) throw new OperatorError(`configuration file ${file} does not exist`);
  try {
    return {
      source: file,
      values: flatten((parseYaml(readFileSync(file, 'utf8'), { prettyErrors: false }) ?? {}) as Tree),
    };
  } catch (error) {
    throw new OperatorError(`configuration file ${file} cannot be read: ${messageOf(error)}`);
  }
}

function envLayer(env: Env, paths: string[], problems: string[]): Layer {
  const byName = new Map(paths.map((path) => [envName(path), path]));
  const values = new Map<string, unknown>();
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('POSTERN_') || NOT_SETTINGS.has(name) || value === undefined) continue;
    const path = byName.get(name);
    const fromFile = byName.get(name.replace(/_FILE$/, ''));
    if (path) values.set(path, value);
    else if (fromFile && env[envName(fromFile)] !== undefined)
      problems.push(`${name}: given beside ${envName(fromFile)}; give one of them`);
    else if (fromFile) values.set(fromFile, readSecretFile(name, value, problems));
    else problems.push(`${name}: not a setting (see config/default.yml)`);
  }
  return { source: 'environment', values };
}

function readSecretFile(name: string, file: string, problems: string[]): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`${name}: ${messageOf(error)}`);
    return '';
  }
}

/** Leaves by dotted path; a list is a leaf. */
function flatten(tree: Tree, prefix = ''): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  for (const [name, value] of Object.entries(tree)) {
    const path = prefix + name;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) leaves.set(path, value);
    else for (const [inner, leaf] of flatten(value as Tree, `${path}.`)) leaves.set(inner, leaf);
  }
  return leaves;
}

function merge(layers: Layer[]): Tree {
  const tree: Tree = {};
  for (const [path, value] of layers.flatMap((layer) => [...layer.values])) {
    const names = path.split('.');
    const last = names.pop()!;
    let at = tree;
    for (const name of names) {
      if (typeof at[name] !== 'object' || at[name] === null) at[name] = {};
      at = at[name] as Tree;
    }
    at[last] = value;
  }
  return tree;
}

function describe(issue: z.core.$ZodIssue, layers: Layer[]): string[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${path ? `${path}.` : ''}${key}: not a setting (see config/default.yml)`);
  }
  const leaf = path.replace(/^relay\.url\.\d+$/, 'relay.url');
  const layer = layers.findLast(({ values }) => values.has(leaf));
  // What is not a usable secret cannot be masked with certainty: it is not shown at all.
  const value = layer && !SECRET.test(leaf) ? ` = ${JSON.stringify(layer.values.get(leaf))}` : '';
  return [`${leaf}${value}${layer ? ` (${layer.source})` : ''}: ${issue.message}`];
}

function crossChecks(config: Config): string[] {
  const problems: string[] = [];
  if (Boolean(config.tls.cert) !== Boolean(config.tls.key)) problems.push('tls.cert and tls.key: give both or neither');
  const { port, securePort } = config.smtp;
  if (port === 'off' && securePort === 'off' && config.http.port === 'off') {
    problems.push('smtp.port, smtp.securePort and http.port: at least one must not be off');
  }
  const ports = [port, securePort, config.http.port].filter((value) => value !== 'off' && value !== 0);
  if (new Set(ports).size < ports.length) problems.push('smtp.port, smtp.securePort and http.port: two are the same');
  return problems;
}

function mask(path: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((entry) => mask(path, entry));
  if (!SECRET.test(path) || typeof value !== 'string') return value;
  return path === 'keys.pepper'
    ? '********'
    : value
        .split(/(?<=[\s,]+)/)
        .map(maskUrl)
        .join('');
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object') {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
