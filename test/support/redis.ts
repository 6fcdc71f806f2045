// A real redis-server for one test: the promises are about what survives kill -9, and no imitation can break them.
// It listens on a unix socket in a directory of its own with the durability settings of production, and it dies
// with the process that started it, however that process ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';

export interface TestRedisOptions {
  /** Further redis-server arguments; they come last and so win over the ones set here. */
  args?: string[];
  /** Keep the data here instead of in a fresh directory; `stop` then leaves it in place. */
  dir?: string;
}

export interface TestRedis {
  readonly url: string;
  readonly socket: string;
  readonly dir: string;
  /** Of the child running now, or of the last one. */
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Runs again on the same directory and socket; resolves when the data is loaded. */
  start(): Promise<void>;
  /** Ends the clients and the process, and removes the directory. */
  stop(): Promise<void>;
  /** A plain client, closed by `stop`. It survives `kill` and reconnects after `start`. */
  client(options?: RedisOptions): Redis;
}

interface Server {
  child: ChildProcess;
  exited: Promise<void>;
  /** Rejects, with all that the server printed, when it ends or cannot be run at all. */
  failed: Promise<never>;
}

/** Starts redis-server and resolves when it answers and has loaded its data; rejects with its output when it exits. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'postern-')));
  const socket = join(dir, 'redis.sock');
  if (socket.length >= 100) throw new Error(`${socket} is too long for a unix socket`);
  const temporary = options.dir === undefined;
  const run = () => runServer(dir, socket, options.args ?? [], temporary);
  const clients: Redis[] = [];
  let server = run();
  const kill = async () => {
    server.child.kill('SIGKILL');
    await server.exited;
  };
  const stop = async () => {
    for (const client of clients) client.disconnect();
    await kill();
    if (temporary) await rm(dir, { recursive: true, force: true });
  };
  await ready(socket, server).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    url: `unix:${socket}`,
    socket,
    dir,
    get pid() {
      return server.child.pid ?? -1;
    },
    kill,
    stop,
    async start() {
      await kill();
      server = run();
      await ready(socket, server);
    },
    client(clientOptions = {}) {
      // The short time-out spares `stop` the 2 s that ioredis keeps a timer for when Redis is already gone.
      const client = new Redis({ disconnectTimeout: 50, ...clientOptions, path: socket });
      // Without a listener ioredis prints every refused reconnection while a test has Redis killed.
      client.on('error', () => {});
      clients.push(client);
      return client;
    },
  };
}

function runServer(dir: string, socket: string, args: string[], temporary: boolean): Server {
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction'];
  const place = ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', '--dir', dir];
  const child = spawn('redis-server', [...place, ...durable, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => reject(new Error(`redis-server ended (${code ?? signal}): ${output}`)));
  });
  failed.catch(() => {}); // Only `ready` cares; a later kill is not an error.
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  if (child.pid !== undefined) void exited.then(killWithUs(child.pid, temporary ? dir : undefined));
  return { child, exited, failed };
}

/**
 * A shell that waits on a pipe from us: when the pipe breaks without a word, this process died, by whatever signal,
 * and the shell kills `pid` and clears `dir` away. An 'exit' handler would not run then. Returns what calls it off.
 */
function killWithUs(pid: number, dir: string | undefined): () => void {
  const script = 'read -r _ || { kill -9 "$1"; [ -z "$2" ] || rm -rf "$2"; }';
  const command = ['-c', script, 'sh', String(pid), dir ?? ''];
  const guard = spawn('sh', command, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard.unref();
  (guard.stdin as Socket).unref();
  guard.stdin.on('error', () => {});
  return () => void guard.stdin.end('it is gone\n');
}

/** The one place that asks again and again: a foreign process says nothing when its socket begins to listen. */
async function ready(socket: string, server: Server): Promise<void> {
  while (!(await Promise.race([isUp(socket), server.failed]))) await setTimeout(5);
}

/** Whether Redis answers PING with anything but "I am loading"; a refused PING (NOAUTH) is an answer too. */
function isUp(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path }, () => probe.write('PING\r\n'));
    probe.on('error', () => resolve(false));
    probe.on('close', () => resolve(false));
    probe.on('data', (answer: Buffer) => {
      resolve(!answer.toString().startsWith('-LOADING'));
      probe.destroy();
    });
  });
}
