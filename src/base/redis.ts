// Connections to Redis, made so that nothing waits for an absent server: no command is queued while the
// connection is down, none is sent twice, and every one has a deadline. Callers see two faults only:
// the store is away (temporary, try again) or the store is full.
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { messageOf, OperatorError } from './fault.js';
import type { Log } from './log.js';

export type RedisClient = Redis | Cluster;

export interface RedisSettings {
  /** `unix:/path`, `redis://`, `rediss://`, `redis+sentinel://host,host/master-name`, `redis+cluster://host,host`. */
  url: string;
  commandTimeoutSeconds: number;
}

/** The store did not take the command, or nobody knows whether it did. Temporary. */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable';
}

/** The store is up and has no room. Temporary, but not helped by trying at once. */
export class StoreFull extends StoreUnavailable {
  override readonly name = 'StoreFull';
}

/** Turns whatever ioredis threw into one of the two faults above. */
export function storeFault(error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error;
  const { previousErrors = [] } = error as { previousErrors?: unknown[] };
  const text = [error, ...previousErrors].map(messageOf).join(': ');
  // A full disk makes Redis refuse writes with MISCONF; for a client that is the same as full.
  const full = /\bOOM\b|^MISCONF|No space left/.test(text);
  return new (full ? StoreFull : StoreUnavailable)(text, { cause: error });
}

/** For `.catch`: throws the fault. */
export function throwStoreFault(error: unknown): never {
  throw storeFault(error);
}

/**
 * A connection that repairs itself. `blocking` connections (XREADGROUP BLOCK, SUBSCRIBE) have no command deadline.
 * `name` is what CLIENT LIST shows.
 */
export function connectRedis(settings: RedisSettings, name: string, log: Log, blocking = false): RedisClient {
  const options = connectionOptions(settings, name, blocking);
  const client = fromUrl(settings.url, options);
  if (client instanceof Redis && !blocking) client.on('connect', () => gatherWrites(client.stream));
  const faults = new Set<string>();
  client.on('error', (error: unknown) => {
    const fault = messageOf(error);
    if (!faults.has(fault)) log.warn({ redis: name, fault }, 'redis connection failed');
    faults.add(fault);
  });
  client.on('ready', () => {
    if (faults.size > 0) log.info({ redis: name }, 'redis connection is back');
    faults.clear();
  });
  return client;
}

/** What CLIENT LIST shows of a connection of this process. */
export const clientName = (name: string): string => `postern:${process.pid}:${name}`;

/**
 * Commands of one turn of the event loop go out in one write, at its end. Messages that come in together so cost one
 * system call here and one in Redis, which also syncs them together.
 */
function gatherWrites(stream: Redis['stream']): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let isGathering = false;
  stream.write = (...args: unknown[]): boolean => {
    if (!isGathering) {
      isGathering = true;
      stream.cork();
      setImmediate(() => {
        isGathering = false;
        stream.uncork();
      });
    }
    return write(...args);
  };
}

function connectionOptions(settings: RedisSettings, name: string, blocking: boolean): RedisOptions {
  return {
    connectionName: clientName(name),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 5000,
    disconnectTimeout: 0,
    keepAlive: 10_000,
    noDelay: true,
    protocol: 2,
    ...(blocking ? {} : { commandTimeout: settings.commandTimeoutSeconds * 1000 }),
    retryStrategy: (times) => Math.min(25 * 2 ** Math.min(times, 6), 1000),
  };
}

/** Left to itself, the library sends a command again whose connection broke: what was done would be done twice. */
const CLUSTER = { enableOfflineQueue: false, retryDelayOnFailover: 0, slotsRefreshInterval: 5000 };

function fromUrl(url: string, options: RedisOptions): RedisClient {
  if (url.startsWith('unix:')) return new Redis({ ...options, path: url.replace(/^unix:(\/\/)?/, '') });
  if (/^rediss?:\/\//.test(url)) return new Redis(url, options);
  const [, scheme, credentials, hosts, path] =
    /^redis\+(sentinel|cluster):\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?$/.exec(url) ?? [];
  if (!scheme) throw new OperatorError(`redis.url: '${url.split(':')[0]}:' is not a known scheme`);
  const nodes = hosts!.split(',').map(hostAndPort(scheme === 'sentinel' ? 26_379 : 6379));
  const [username, password] = (credentials ?? '').split(':').map(decodeURIComponent);
  const login = { ...(username ? { username } : {}), ...(password ? { password } : {}) };
  if (scheme === 'cluster') {
    return new Cluster(nodes, { ...CLUSTER, redisOptions: { ...options, ...login } });
  }
  return new Redis({ ...options, ...login, sentinels: nodes, name: path || 'mymaster' });
}

function hostAndPort(defaultPort: number) {
  return (text: string): { host: string; port: number } => {
    const [, host, port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text) ?? [];
    if (!host) throw new OperatorError(`redis.url: '${text}' is not a host or host:port`);
    return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? defaultPort) };
  };
}

const NO_SUCH_DATABASE = /DB index is out of range|SELECT is not allowed/;

/** Resolves when the connection is usable, rejects with what is wrong when it is not within `ms`. */
export function whenReady(client: RedisClient, ms: number): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    let fault = 'no answer';
    const onError = (error: unknown): void => {
      fault = messageOf(error) || fault;
      // The library goes on without the database that was asked for, and writes to another.
      if (NO_SUCH_DATABASE.test(fault)) settle(() => reject(new StoreUnavailable(fault)));
    };
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      client.off('error', onError);
      client.off('ready', onReady);
      end();
    };
    const onReady = (): void => settle(resolve);
    const timer = setTimeout(() => settle(() => reject(new StoreUnavailable(fault))), ms);
    client.on('error', onError);
    client.on('ready', onReady);
  });
}
