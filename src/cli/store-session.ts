// A command's connection to the store, beside a running server or without one: an embedded Redis that is not running
// is started for the length of the command.
import { hostname, userInfo } from 'node:os';
import { resolve } from 'node:path';
import { systemClock } from '../base/clock.js';
import { EmbeddedRedis } from '../base/embedded-redis.js';
import { messageOf, OperatorError } from '../base/fault.js';
import { Lifecycle } from '../base/lifecycle.js';
import { silentLog, type Log } from '../base/log.js';
import { maskUrl } from '../base/mask.js';
import { connectRedis, whenReady, type RedisClient } from '../base/redis.js';
import { embeddedRedisConf, processEnv, type Config } from '../config.js';
import { AuditLog } from '../keys/audit.js';
import { KeyEditor } from '../keys/editor.js';
import { loadPepper, pepperMark } from '../keys/pepper.js';
import { KeyStore } from '../keys/store.js';

const CONNECT_MS = 10_000;
/** A large append-only file takes its time to load. */
const EMBEDDED_READY_MS = 300_000;

export interface StoreSession {
  redis: RedisClient;
  keys: KeyStore;
}

/** Runs `work` on the store and leaves everything as it was found. @throws OperatorError */
export async function withStore<T>(config: Config, work: (session: StoreSession) => Promise<T>): Promise<T> {
  const lifecycle = new Lifecycle();
  try {
    const { url, embedded } = await locateRedis(config, silentLog);
    if (embedded) lifecycle.defer('the embedded Redis', () => embedded.stop());
    const redis = await openRedis(config, url, embedded !== undefined, silentLog);
    lifecycle.defer('the connection', () => redis.disconnect());
    return await work({ redis, keys: new KeyStore(redis) });
  } finally {
    await lifecycle.close();
  }
}

/** The Redis that the configuration names; an embedded one is running afterwards. */
export async function locateRedis(
  config: Config,
  log: Log,
): Promise<{ url: string; embedded: EmbeddedRedis | undefined }> {
  if (config.redis.url) return { url: config.redis.url, embedded: undefined };
  const settings = {
    dataDir: config.dataDir,
    confFile: embeddedRedisConf,
    maxMemoryBytes: config.redis.maxMemoryBytes,
  };
  const embedded = new EmbeddedRedis(settings, log);
  await embedded.start();
  return { url: embedded.url, embedded };
}

/** @throws OperatorError that names the setting. */
export async function openRedis(config: Config, url: string, embedded: boolean, log: Log): Promise<RedisClient> {
  const client = connectRedis({ url, commandTimeoutSeconds: config.redis.commandTimeoutSeconds }, 'main', log);
  try {
    await whenReady(client, embedded ? EMBEDDED_READY_MS : CONNECT_MS);
    return client;
  } catch (error) {
    client.disconnect();
    throw new OperatorError(`redis.url: cannot reach Redis at ${maskUrl(url)}: ${messageOf(error)}`);
  }
}

/** The keys, for changes in the name of whoever runs the command. @throws OperatorError */
export async function openEditor(config: Config, { redis, keys }: StoreSession, actor = whoRuns()): Promise<KeyEditor> {
  return new KeyEditor(redis, await openAudit(config, { redis, keys }), actor);
}

/** @throws OperatorError */
export async function openAudit(config: Config, { redis, keys }: StoreSession): Promise<AuditLog> {
  return new AuditLog(redis, { ...config.audit, pepper: await openPepper(config, keys) }, systemClock);
}

/** `cli:<user>@<host>`; with sudo also who asked for it: `cli:alice/postern@mail1`. */
function whoRuns(): string {
  const { SUDO_USER } = processEnv();
  return `cli:${SUDO_USER ? `${SUDO_USER}/` : ''}${userName()}@${hostname()}`;
}

/** A user without an entry in the list of users, as containers have them, has a number alone. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** The pepper, checked against the one that the stored keys were made with. @throws OperatorError */
export async function openPepper(config: Config, keys: KeyStore): Promise<string> {
  const file = resolve(config.dataDir, 'pepper');
  const pepper = config.keys.pepper ?? loadPepper(file);
  const mark = pepperMark(pepper);
  if ((await keys.markPepper(mark)) === mark) return pepper;
  const source = config.keys.pepper ? 'keys.pepper' : file;
  throw new OperatorError(
    `${source} is not the pepper that the keys in this Redis were made with; no key would be accepted`,
  );
}
