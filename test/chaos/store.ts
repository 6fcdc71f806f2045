// The Redis of a site: the embedded one, which the site starts again by itself, or one of the operator's own, behind a
// wire that can be cut, which the operator starts again. The harness has a connection of its own that is never cut.
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { processesOf } from '../support/built-processes.js';
import { startRedis } from '../support/redis.js';
import { Proxy } from '../support/proxy.js';

export interface Store {
  kind: 'embedded' | 'own';
  /** Settings for the site. */
  env: Record<string, string>;
  /** Only of one's own. */
  wire: Proxy | undefined;
  /** The harness's connection. */
  client: Redis;
  /** Of the server that runs now. */
  pid(): number | undefined;
  /** SIGKILL; one's own is back after `ms`. */
  kill(downMs: number): Promise<void>;
  stop(): Promise<void>;
}

export async function ownStore(dir: string, port: number): Promise<Store> {
  const redis = await startRedis({ dir });
  const wire = new Proxy(port, { path: redis.socket });
  await wire.open();
  let turn = Promise.resolve();
  const restart = async (downMs: number): Promise<void> => {
    await redis.kill();
    await setTimeout(downMs);
    await redis.start();
  };
  return {
    ...{ kind: 'own', wire, client: redis.client({ retryStrategy: () => 50 }), pid: () => redis.pid },
    env: { POSTERN_REDIS_URL: `redis://127.0.0.1:${port}` },
    kill: (downMs) => (turn = turn.then(() => restart(downMs))),
    stop: async () => {
      wire.close();
      await turn.catch(() => {});
      await redis.stop();
    },
  };
}

export function embeddedStore(dataDir: string): Store {
  const path = join(dataDir, 'redis', 'redis.sock');
  const client = new Redis({ path, lazyConnect: true, disconnectTimeout: 50, retryStrategy: () => 50 });
  client.on('error', () => {}); // It is killed on purpose.
  const pid = () => processesOf(-1, dataDir).find(({ commandLine }) => commandLine.startsWith('redis-server'))?.pid;
  const kill = () => {
    const server = pid();
    if (server) process.kill(server, 'SIGKILL');
    return Promise.resolve();
  };
  return {
    kind: 'embedded',
    env: {},
    wire: undefined,
    client,
    pid,
    kill,
    stop: () => Promise.resolve(client.disconnect()),
  };
}
