// Whether a Redis keeps what it answers for: every write in the append-only file, on disk, before the reply, and
// nothing ever evicted. Promise 1 rests on these settings, so they are read from the server, not assumed.
import type { Redis } from 'ioredis';
import { messageOf } from './fault.js';
import { Cluster } from 'ioredis';
import type { RedisClient } from './redis.js';

const WANTED: Record<string, string> = {
  ...{ appendonly: 'yes', appendfsync: 'always', 'no-appendfsync-on-rewrite': 'no' },
  'maxmemory-policy': 'noeviction',
};
const OLDEST_VERSION = 7;

/** What is weaker than it must be, a sentence each; empty when accepted mail survives a crash. @throws StoreUnavailable */
export async function durabilityProblems(client: RedisClient): Promise<string[]> {
  const servers = client instanceof Cluster ? client.nodes('master') : [client];
  const problems = await Promise.all(servers.map((server) => serverProblems(server)));
  return [...new Set(problems.flat())];
}

async function serverProblems(server: Redis): Promise<string[]> {
  const version = /redis_version:(\d+)/.exec(await server.info('server').catch(() => ''))?.[1];
  const old =
    version && Number(version) < OLDEST_VERSION ? [`Redis ${version} is too old, 7.0 or newer is needed`] : [];
  try {
    const flat = await server.config('GET', ...(Object.keys(WANTED) as [string]));
    return [...old, ...settingProblems(new Map(pairs(flat)))];
  } catch (error) {
    return [...old, `the settings cannot be read (CONFIG GET: ${messageOf(error)})`];
  }
}

function settingProblems(settings: Map<string, string>): string[] {
  return Object.entries(WANTED)
    .filter(([name, value]) => settings.get(name) !== value)
    .map(([name, value]) => `${name} is ${settings.get(name) ?? 'unknown'}, must be ${value}`);
}

function pairs(flat: string[]): [string, string][] {
  return flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as [string, string]] : []));
}
