// The Redis that comes with Postern: a real redis-server in the data folder, on a unix socket, with config/redis.conf.
// Promises: never two servers on one data folder; a server that is already running (another command's, or one whose
// parent was killed) is used as it is; one that dies is started again; the last process to leave stops it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readSync, fstatSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Redis } from 'ioredis';
import { codeOf, messageOf, OperatorError } from './fault.js';
import type { Log } from './log.js';
import { clientName } from './redis.js';
import { pause } from './pause.js';
import { withStartLock } from './start-lock.js';

export interface EmbeddedSettings {
  dataDir: string;
  confFile: string;
  maxMemoryBytes: number;
}

/** sun_path holds 108 octets on Linux and 104 on macOS, the NUL included. */
const MAX_SOCKET_PATH = 100;
const START_MS = 60_000;
const RESTART_PAUSE_MS = 100;

export class EmbeddedRedis {
  readonly #folder: string;
  readonly #socket: string;
  #watched: Socket | undefined;
  #leaving = false;

  constructor(
    private readonly settings: EmbeddedSettings,
    private readonly log: Log,
  ) {
    this.#folder = resolve(settings.dataDir, 'redis');
    this.#socket = socketPath(this.#folder);
  }

  get url(): string {
    return `unix:${this.#socket}`;
  }

  /** Starts the server unless it runs, and again whenever it dies, until `stop`. @throws OperatorError with its reason */
  async start(): Promise<void> {
    makeFolder(this.#folder);
    makeFolder(resolve(this.#socket, '..'));
    await this.#alone(async () => {
      if (!(await isListening(this.#socket))) await this.#spawn();
      await this.#enter();
    });
  }

  /** Leaves the server; the last to leave stops it. */
  async stop(): Promise<void> {
    this.#leaving = true;
    this.#watched?.destroy();
    await this.#alone(() => this.#leave());
  }

  /** One process at a time starts, enters or leaves: nobody enters a server that another is about to stop. */
  #alone(work: () => Promise<void>): Promise<void> {
    return withStartLock(join(this.#folder, 'start.lock'), START_MS, work);
  }

  /** A connection that tells others of this process, and tells this process when the server is gone. */
  async #enter(): Promise<void> {
    const watched = connect(this.#socket);
    this.#watched = watched;
    watched.on('error', () => {});
    watched.once('close', () => void this.#revive());
    watched.write(`CLIENT SETNAME ${clientName('presence')}\r\n`);
    await new Promise<void>((resolve) => watched.once('data', () => resolve()).once('close', () => resolve()));
    watched.unref();
  }

  async #leave(): Promise<void> {
    // The library keeps a timer for a connection that is closed when its server is gone, and this process would wait for it.
    const once = { protocol: 2, retryStrategy: () => null, disconnectTimeout: 0 } as const;
    const client = new Redis({ path: this.#socket, ...once });
    client.on('error', () => {});
    try {
      if (await othersConnected(client)) return;
      await client.shutdown();
    } catch {
      // It is gone, or went while it was told to.
    } finally {
      client.disconnect();
    }
    for (let waited = 0; waited < START_MS && (await isListening(this.#socket)); waited += 20) await pause(20);
  }

  async #revive(): Promise<void> {
    while (!this.#leaving) {
      this.log.error('the embedded Redis is gone; starting it again');
      try {
        return await this.start();
      } catch (error) {
        this.log.error({ fault: messageOf(error) }, 'the embedded Redis did not start');
        await pause(RESTART_PAUSE_MS * 10);
      }
    }
  }

  /** The server has its own process group: a Ctrl-C on the terminal is not for it. */
  async #spawn(): Promise<void> {
    const { confFile, maxMemoryBytes } = this.settings;
    const logFile = join(this.#folder, 'redis.log');
    const logStart = sizeOf(logFile);
    removeHalfRewrites(this.#folder);
    const args = [confFile, '--dir', this.#folder, '--unixsocket', this.#socket, '--unixsocketperm', '700'];
    const child = spawn('redis-server', [...args, '--maxmemory', String(maxMemoryBytes), '--logfile', logFile], {
      ...{ cwd: this.#folder, stdio: 'ignore', detached: true },
    });
    let ended: Error | undefined;
    child.once('error', (error) => (ended = error));
    child.once('exit', () => (ended ??= new Error('it ended at once')));
    child.unref();
    const until = Date.now() + START_MS;
    while (!(await isListening(this.#socket))) {
      if (ended) throw startFault(ended, logFile, logStart);
      if (Date.now() > until) throw new OperatorError(`the embedded redis-server does not answer; see ${logFile}`);
      await pause(10);
    }
  }
}

/** What a rewrite of the append-only file leaves behind when the server is killed in the middle; it is never read. */
function removeHalfRewrites(folder: string): void {
  const isHalf = (name: string): boolean => /^temp-.*\.(aof|rdb)$/.test(name);
  for (const name of readdirSync(folder).filter(isHalf)) rmSync(join(folder, name), { force: true });
}

function socketPath(folder: string): string {
  const path = join(folder, 'redis.sock');
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  const short = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  return join(tmpdir(), `postern-${process.getuid?.() ?? 0}-${short}`, 'redis.sock');
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new OperatorError(`dataDir: cannot make ${folder} (${codeOf(error)})`);
  }
}

/** @throws OperatorError when the socket is somebody else's. */
function isListening(path: string): Promise<boolean> {
  return new Promise((done, fail) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'EACCES' || code === 'EPERM')
        fail(new OperatorError(`dataDir: ${path} belongs to another user (${code})`));
      // Anything but these two means that somebody is there, and busy.
      else done(!['ENOENT', 'ECONNREFUSED'].includes(code));
    });
  });
}

async function othersConnected(client: Redis): Promise<boolean> {
  const list = String(await client.call('CLIENT', 'LIST'));
  const owners = [...list.matchAll(/ name=postern:(\d+):/g)].map((match) => Number(match[1]));
  return owners.some((pid) => pid !== process.pid);
}

function sizeOf(file: string): number {
  return tail(file, Infinity).size;
}

/** The text of a file from `start` on, 4 KB at most. */
function tail(file: string, start: number): { size: number; text: string } {
  try {
    const fd = openSync(file, 'r');
    try {
      const { size } = fstatSync(fd);
      const from = Math.max(Math.min(start, size), size - 4096);
      const buffer = Buffer.alloc(size - from);
      readSync(fd, buffer, 0, buffer.length, from);
      return { size, text: buffer.toString() };
    } finally {
      closeSync(fd);
    }
  } catch {
    return { size: 0, text: '' };
  }
}

function startFault(ended: Error, logFile: string, logStart: number): OperatorError {
  if (codeOf(ended) === 'ENOENT') {
    return new OperatorError('redis-server is not installed: run bin/setup, or set redis.url to a Redis of your own');
  }
  const lines = tail(logFile, logStart).text.trim().split('\n');
  const telling = lines.filter((line) => / # |fatal|error|denied/i.test(line)).slice(-3);
  const reason = (telling.length ? telling : lines.slice(-3)).map((line) => line.replace(/^.*?[#*-] /, '')).join('; ');
  return new OperatorError(`the embedded redis-server did not start: ${reason || messageOf(ended)} (see ${logFile})`);
}
