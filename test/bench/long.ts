// What is measured in place of the cases, because it takes minutes or servers of its own.
import { join } from 'node:path';
import { benchBodies } from './bodies.js';
import { benchIdleConnections, benchSessions } from './connections.js';
import { benchGrowth } from './growth.js';
import { benchHttp } from './http.js';
import type { BenchOptions } from './options.js';
import { startRelaying } from './postern-subject.js';
import { benchSoak } from './soak.js';
import type { Bench } from './subject.js';

type LongOptions = Pick<
  BenchOptions,
  'growth' | 'soakMinutes' | 'http' | 'sessions' | 'connections' | 'bodies' | 'rounds'
>;

export const isLong = ({ growth, soakMinutes, http, sessions, connections, bodies }: LongOptions): boolean =>
  Boolean(growth || soakMinutes || http || sessions || connections || bodies);

/** @returns every figure, by kind. */
export async function benchLong(
  { growth, soakMinutes, http, sessions, connections, bodies, rounds }: LongOptions,
  bench: Bench,
  print: (text: string) => void,
): Promise<Record<string, unknown>> {
  const within = (name: string): Bench => ({ ...bench, dir: join(bench.dir, name) });
  return {
    http: http ? await benchHttp(within('http'), rounds, print) : undefined,
    idleConnections: connections ? await benchIdleConnections(within('connections'), print) : undefined,
    sessions: sessions ? await benchSessions(within('sessions'), sessions, print) : undefined,
    bodies: bodies ? await benchBodies(within('bodies'), rounds, print) : undefined,
    growth: growth ? await benchGrowth(within('growth'), rounds, print) : undefined,
    soak: soakMinutes ? await benchSoak(await startSoaked(within('soak')), soakMinutes, print) : undefined,
  };
}

/** A quarter of a million messages on twenty connections. */
const startSoaked = (bench: Bench) => {
  process.env.POSTERN_SMTP_MAX_MESSAGES_PER_CONNECTION = '1000000';
  return startRelaying('postern-relay', bench);
};
