// Postern as it comes: built, with its embedded Redis and default settings, on free ports and a data folder of its own.
// Settings in the environment hold, so that they can be compared.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Auth } from '../support/load-session.js';
import { processesIn, processTree, type Process } from './processes.js';
import { Program } from './program.js';
import { Sink } from './sink-client.js';
import type { Bench, Subject } from './subject.js';

const POSTERN = fileURLToPath(new URL('../../bin/postern', import.meta.url));

/** What `serve --json` prints; the key only on the first start on a data folder. */
interface Ready {
  smtp: string;
  http: string;
  first_key: string;
}

/** Postern with one key, and its HTTP port. */
export interface PosternSubject extends Subject {
  auth: Auth;
  httpPort: number;
}

export const startCapturing = (name: string, bench: Bench): Promise<PosternSubject> => start(name, bench, undefined);

export async function startRelaying(name: string, bench: Bench): Promise<PosternSubject> {
  mkdirSync(bench.dir, { recursive: true });
  return start(name, bench, await Sink.start(bench.dir, bench.lifecycle));
}

/** For what accepting alone leaves in the queue when all cases are run. */
const ALL_CASES_BYTES = 8 * 2 ** 30;

/** Keeps what it accepts and does nothing more with it: what accepting alone costs. */
export async function startAccepting(name: string, bench: Bench): Promise<PosternSubject> {
  const settings = { POSTERN_REDIS_MAX_MEMORY_BYTES: String(ALL_CASES_BYTES) };
  const subject = await start(name, bench, undefined, settings, ['--role', 'accept']);
  // Nobody takes anything out of its queue.
  return { ...subject, isIdle: () => Promise.resolve(true) };
}

async function start(
  name: string,
  { lifecycle, dir, profileDir }: Bench,
  sink: Sink | undefined,
  settings: NodeJS.ProcessEnv = {},
  options: string[] = [],
): Promise<PosternSubject> {
  mkdirSync(dir, { recursive: true });
  const dataDir = join(dir, 'data');
  const redisDir = join(dataDir, 'redis');
  lifecycle.defer(`the Redis of ${name}`, () => killLeftOver(redisDir));
  const env = { ...settings, ...environment(dataDir, sink) };
  // Workers are started with the same arguments of Node.
  const profiling = profileDir ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`] : [];
  const argv: [string, ...string[]] = [process.execPath, ...profiling, POSTERN, 'serve', '--json', ...options];
  const { program, line } = await Program.startAndHear({ name, argv, env, logFile: join(dir, 'log') }, lifecycle);
  const ready = JSON.parse(line) as Ready;
  return {
    name,
    port: Number(ready.smtp.split(':').at(-1)),
    auth: { user: 'apikey', pass: ready.first_key },
    httpPort: Number(ready.http.split(':').at(-1)),
    sink,
    processes: () => named(processTree(program.pid), redisDir),
    isIdle: () => isQueueEmpty(ready.http),
    remarks: [],
  };
}

function environment(dataDir: string, sink: Sink | undefined): NodeJS.ProcessEnv {
  return {
    ...process.env,
    POSTERN_DATA_DIR: dataDir,
    POSTERN_SMTP_PORT: '0',
    POSTERN_SMTP_SECURE_PORT: 'off',
    POSTERN_HTTP_PORT: '0',
    POSTERN_LOG_FORMAT: 'json',
    POSTERN_RELAY_URL: sink ? `smtp://127.0.0.1:${sink.port}` : '',
  };
}

/** The first process supervises, Redis is known by the folder it works in, and the others are workers. */
function named([supervisor, ...others]: Process[], redisDir: string): Process[] {
  const redis = new Set(processesIn(redisDir));
  const children = others.filter(({ pid }) => !redis.has(pid));
  return [
    ...(supervisor ? [{ ...supervisor, name: 'supervisor' }] : []),
    ...children.map(({ pid }) => ({ pid, name: 'workers' })),
    ...[...redis].map((pid) => ({ pid, name: 'redis-server' })),
  ];
}

async function isQueueEmpty(http: string): Promise<boolean> {
  const text = await (await fetch(`http://${http}/metrics`)).text();
  const counts = [...text.matchAll(/^postern_queue_messages\{state="(?:ready|underWay)"\} (\d+)$/gm)];
  return counts.length === 2 && counts.every(([, count]) => count === '0');
}

/** Only where the supervisor did not live to stop it. */
function killLeftOver(redisDir: string): void {
  for (const pid of processesIn(redisDir)) process.kill(pid, 'SIGKILL');
}
