// What goes wrong in a round. A plan is drawn from the seed: which faults, when, for how long. Each fault ends by
// itself; a process that it kills is started again by whoever starts it in operation.
import { setTimeout } from 'node:timers/promises';
import type { Mood } from './next-hop.js';
import type { Direction } from '../support/proxy.js';
import { SeededRandom } from './random.js';
import { signal } from './site.js';
import type { World } from './world.js';

export interface PlannedFault {
  name: FaultName;
  /** Milliseconds from the start of the round. */
  atMs: number;
  lastsMs: number;
}

/** @returns what came of it. */
type Strike = (world: World, lastsMs: number) => Promise<string>;

const mood =
  (name: Mood): Strike =>
  async ({ hop }, lastsMs) => {
    hop.mood = name;
    await setTimeout(lastsMs);
    if (hop.mood === name) hop.mood = 'well';
    return 'well again';
  };

const cutInside =
  (side: 'redis' | 'hop', direction: Direction): Strike =>
  ({ store, hop }) => {
    const wire = side === 'redis' ? store.wire : hop.wire;
    wire?.cutInside(direction);
    return Promise.resolve('the next one is cut');
  };

/** Longer than the lease and the command timeout: what wakes up finds its messages with others. */
async function freeze(pid: number | undefined, lastsMs: number): Promise<string> {
  if (!pid) return 'nobody there';
  signal(pid, 'SIGSTOP');
  await setTimeout(lastsMs);
  signal(pid, 'SIGCONT');
  return `${pid} goes on`;
}

function kill(pid: number | undefined): Promise<string> {
  if (pid) signal(pid, 'SIGKILL');
  return Promise.resolve(pid ? `killed ${pid}` : 'nobody there');
}

/** At the final dot of the next message, before its reply: it arrives, and who sent it never knows. */
function killDeliverer({ site, hop }: World, lastsMs: number): Promise<string> {
  const struck = new Promise<string>((resolve) => {
    hop.onMessage = () => {
      hop.onMessage = undefined;
      const port = hop.wire.busiestPort;
      const pid = port && site.ownerOf(port);
      hop.wire.cut();
      void kill(pid || undefined).then(resolve);
    };
  });
  const late = setTimeout(lastsMs).then(() => {
    hop.onMessage = undefined;
    return 'nothing was delivered meanwhile';
  });
  return Promise.race([struck, late]);
}

async function killRedis({ store }: World, lastsMs: number): Promise<string> {
  const pid = store.pid();
  await store.kill(lastsMs);
  return `killed ${pid}`;
}

async function killAll({ site, store }: World, lastsMs: number): Promise<string> {
  const count = site.processes().length;
  site.killAll();
  await store.kill(lastsMs);
  return `killed ${count} processes and Redis`;
}

/** Full for a while; a server that was started again meanwhile is so with its own bound. */
async function fillRedis({ store: { client } }: World, lastsMs: number): Promise<string> {
  try {
    const [, before = '0'] = await client.config('GET', 'maxmemory');
    await client.config('SET', 'maxmemory', '1mb');
    await setTimeout(lastsMs);
    for (let tries = 0; tries < 100; tries++) {
      const done = await client.config('SET', 'maxmemory', before).catch(() => setTimeout(50));
      if (done) break;
    }
    return 'has room again';
  } catch {
    return 'Redis was away';
  }
}

async function stall(side: 'redis' | 'hop', { store, hop }: World, lastsMs: number): Promise<string> {
  const wire = side === 'redis' ? store.wire : hop.wire;
  wire?.stall(true);
  await setTimeout(lastsMs);
  wire?.stall(false);
  return 'flows again';
}

async function killHop({ hop }: World, lastsMs: number): Promise<string> {
  hop.wire.close();
  await setTimeout(lastsMs);
  await hop.wire.open();
  return 'up again';
}

const strikes = {
  'a worker is killed': ({ site, pick }) => kill(pick(site.workers())),
  'the process that delivers is killed': killDeliverer,
  'the supervisor is killed': ({ site }) => kill(site.supervisor),
  'Redis is killed': killRedis,
  'everything is killed at once': killAll,
  'a worker is frozen': ({ site, pick }, lastsMs) => freeze(pick(site.workers()), lastsMs * 3),
  'Redis is frozen': ({ store }, lastsMs) => freeze(store.pid(), lastsMs * 2),
  'Redis is out of memory': fillRedis,
  'the workers are replaced (SIGHUP)': ({ site }) => {
    if (site.supervisor) signal(site.supervisor, 'SIGHUP');
    return Promise.resolve('asked for');
  },
  'the wire to Redis is cut': ({ store }) => Promise.resolve(store.wire?.cut()).then(() => 'cut'),
  'the wire to Redis is cut inside a reply': cutInside('redis', 'replies'),
  'the wire to Redis is cut inside a request': cutInside('redis', 'requests'),
  'the wire to Redis is held up': (world, lastsMs) => stall('redis', world, lastsMs * 2),
  'the wire to the next hop is cut': ({ hop }) => Promise.resolve(hop.wire.cut()).then(() => 'cut'),
  'the wire to the next hop is cut inside a reply': cutInside('hop', 'replies'),
  'the wire to the next hop is cut inside a message': cutInside('hop', 'requests'),
  'the wire to the next hop is held up': (world, lastsMs) => stall('hop', world, lastsMs),
  'the next hop is killed': killHop,
  'the next hop hangs at the greeting': mood('hangs at the greeting'),
  'the next hop hangs behind the final dot': mood('hangs behind the final dot'),
  'the next hop drops the connection behind the final dot': mood('drops behind the final dot'),
  'the next hop greets with 421': mood('greets with 421'),
  'the next hop answers 451 to MAIL': mood('451 to MAIL'),
  'the next hop answers 450 to some recipients': mood('451 to some recipients'),
  'the next hop answers 451 to the message': mood('451 to the message'),
  'the next hop answers 554 to some messages': mood('554 to some messages'),
} satisfies Record<string, Strike>;

export type FaultName = keyof typeof strikes;
export const faultNames = Object.keys(strikes) as FaultName[];
/** These need a wire. */
const ONLY_OWN_REDIS = /the wire to Redis/;

export const strike = (name: FaultName, world: World, lastsMs: number): Promise<string> =>
  strikes[name](world, lastsMs);

/** Three to six faults within `loadMs`. The first comes in turn, so that a run of rounds has each of them. */
export function drawPlan(seed: number, round: number, kind: 'embedded' | 'own', loadMs: number): PlannedFault[] {
  const random = new SeededRandom(seed, 'plan', round);
  const possible = faultNames.filter((name) => kind === 'own' || !ONLY_OWN_REDIS.test(name));
  const turn = possible[Math.floor(round / 2) % possible.length]!;
  const names = [turn, ...Array.from({ length: random.between(2, 5) }, () => random.pick(possible))];
  const faults = names.map((name) => {
    return { name, atMs: random.between(200, Math.round(loadMs * 0.85)), lastsMs: random.between(200, 1200) };
  });
  return faults.sort((a, b) => a.atMs - b.atMs);
}
