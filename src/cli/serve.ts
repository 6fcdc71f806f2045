// postern serve: starts everything, prints one line when it is ready, and comes down in order.
import { isDeepStrictEqual } from 'node:util';
import { InvalidArgumentError, type Command } from 'commander';
import { certificateFiles } from '../base/certificate.js';
import { systemClock } from '../base/clock.js';
import { DiskReserve } from '../base/disk-reserve.js';
import { durabilityProblems } from '../base/durability.js';
import { messageOf, OperatorError } from '../base/fault.js';
import { systemRandom } from '../base/ids.js';
import { Lifecycle } from '../base/lifecycle.js';
import { createLog, type Log } from '../base/log.js';
import type { RedisClient } from '../base/redis.js';
import { keepPrivate } from '../base/private-folder.js';
import { forgetSecrets, processEnv, type Config } from '../config.js';
import { mint } from '../keys/mint.js';
import type { KeyEditor } from '../keys/editor.js';
import { KeyStore } from '../keys/store.js';
import type { Supervisor, SupervisorRuntime } from '../supervisor.js';
import { allRoles, type Addresses, type Role } from '../worker-messages.js';
import { configOf, wantsJson } from './context.js';
import { standardOutput } from './output.js';
import { locateRedis, openEditor, openPepper, openRedis } from './store-session.js';
import { destinationLine, printWelcome } from './welcome.js';

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('run the server')
    .option('--role <roles>', `parts to run, of ${allRoles.join(',')}`, readRoles, allRoles)
    .option('--json', 'print the ready line as JSON')
    .addHelpText('after', '\nExample:\n  postern serve --role accept')
    .action(async ({ role }: { role: Role[] }, self: Command) => {
      // A reload reads again what a start reads; the environment loses its secrets in between.
      const env = { ...processEnv() };
      const read = () => configOf(self, env);
      const config = read();
      const log = createLog(config.log, { pid: process.pid });
      const lifecycle = new Lifecycle((name, error) => log.warn({ fault: messageOf(error) }, `cannot close ${name}`));
      try {
        await serve(config, read, role, wantsJson(self), log, lifecycle);
      } finally {
        await lifecycle.close();
      }
    });
}

function readRoles(text: string): Role[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !allRoles.includes(name as Role));
  if (unknown.length) throw new InvalidArgumentError(`'${unknown.join(',')}' is not one of ${allRoles.join(', ')}`);
  return names as Role[];
}

/** Serves until a signal has come and everything has ended. */
async function serve(
  config: Config,
  read: () => Config,
  roles: Role[],
  json: boolean,
  log: Log,
  lifecycle: Lifecycle,
): Promise<void> {
  const stop = stopSignal();
  let onHangup = (): void => {};
  process.on('SIGHUP', () => onHangup());
  forgetSecrets(processEnv());
  const { runtime, keys } = await prepare(config, roles, log, lifecycle);
  // Loaded here: other commands start sooner without it.
  const { Supervisor } = await import('../supervisor.js');
  const supervisor = new Supervisor(config, runtime, log);
  stop.forced.then(
    () => supervisor.kill(),
    () => {},
  );
  lifecycle.defer('the workers', () => supervisor.drain());
  const addresses = await Promise.race([supervisor.start(), stop.asked]);
  if (!addresses) return;
  onHangup = () => reload(config, read, supervisor, log);
  log.info(destinationLine(config));
  // Last of all: a key that was minted before a start that failed would never be shown.
  const firstKey = runtime.embedded ? await mintFirstKey(config, keys, runtime.pepper) : undefined;
  announce(addresses, firstKey, json);
  await stop.asked;
  log.info('stopping: transactions under way may finish; a second signal cuts them');
}

/** Settings of what a rolling restart leaves as it is. */
const FIXED = ['dataDir', 'redis', 'keys', 'tls'] as const;

/** SIGHUP: new workers with what the configuration and the certificate say now. What is not usable changes nothing. */
function reload(started: Config, read: () => Config, supervisor: Supervisor, log: Log): void {
  try {
    const config = read();
    const fixed = FIXED.filter((name) => !isDeepStrictEqual(config[name], started[name]));
    if (fixed.length) log.warn({ settings: fixed }, 'these settings need a restart; the old ones stay in force');
    const kept = Object.fromEntries(FIXED.map((name) => [name, started[name]]));
    if (supervisor.reloadCertificate()) void supervisor.reload({ ...config, ...kept });
  } catch (error) {
    log.error({ fault: messageOf(error) }, 'reload given up: the old settings stay in force');
  }
}

interface Prepared {
  runtime: SupervisorRuntime;
  keys: KeyEditor;
}

/** Everything that must be right before a worker is started, in the order in which an operator would look. */
async function prepare(config: Config, roles: Role[], log: Log, lifecycle: Lifecycle): Promise<Prepared> {
  keepPrivate(config.dataDir, log);
  const { url, embedded } = await locateRedis(config, log);
  if (embedded) {
    lifecycle.defer('the embedded Redis', () => embedded.stop());
    const reserve = new DiskReserve(config.dataDir, config.redis.minFreeBytes, log);
    lifecycle.defer('the reserve on the disk', () => reserve.stop());
    reserve.start();
  }
  const redis = await openRedis(config, url, embedded !== undefined, log);
  lifecycle.defer('the connection to Redis', () => redis.disconnect());
  await checkDurability(config, redis, log);
  const keys = new KeyStore(redis);
  const pepper = await openPepper(config, keys);
  const files = await certificateFiles(config.tls, config.dataDir, config.hostname);
  const runtime = {
    roles,
    redisUrl: url,
    embedded: embedded !== undefined,
    pepper,
    certificateSources: { files, folder: config.tls.certificates },
  };
  return { runtime, keys: await openEditor(config, { redis, keys }, 'server') };
}

async function checkDurability(config: Config, redis: RedisClient, log: Log): Promise<void> {
  const problems = await durabilityProblems(redis);
  if (problems.length === 0) return;
  const text = `this Redis may lose mail that was accepted: ${problems.join('; ')}`;
  if (config.redis.durability === 'strict') {
    throw new OperatorError(
      `redis.durability: ${text}. Change Redis, or set redis.durability to warn and accept the risk.`,
    );
  }
  log.warn(text);
}

async function mintFirstKey(config: Config, keys: KeyEditor, pepper: string): Promise<string | undefined> {
  if ((await keys.count()) > 0) return undefined;
  const secrets = { ...config.keys, pepper };
  return (await mint(keys, secrets, { clock: systemClock, random: systemRandom }, { name: 'first key' })).text;
}

/** The ready line, for programs that wait for it; before it, on a first start, the key and how to use it. */
function announce(addresses: Addresses, firstKey: string | undefined, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...addresses, ...(firstKey && { first_key: firstKey }) })}\n`);
    return;
  }
  if (firstKey) printWelcome(standardOutput, addresses, firstKey);
  standardOutput.line(['ready', ...Object.entries(addresses).map(([name, address]) => `${name}=${address}`)].join(' '));
}

/** The first SIGTERM or SIGINT asks, the second one forces. */
function stopSignal(): { asked: Promise<undefined>; forced: Promise<void> } {
  let signals = 0;
  let force = (): void => {};
  const forced = new Promise<void>((resolve) => (force = resolve));
  const asked = new Promise<undefined>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => (++signals === 1 ? resolve(undefined) : force()));
    }
  });
  return { asked, forced };
}
