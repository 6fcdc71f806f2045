// One Postern with everything around it: its Redis, its next hop, and wires in between. It lives through many rounds,
// so that what they leave behind would add up.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Lifecycle } from '../../src/base/lifecycle.js';
import { RedisDesk } from '../../src/spool/redis-desk.js';
import { portBelowEphemeral } from './free-ports.js';
import { Ledger } from './ledger.js';
import { ChaosHop } from './next-hop.js';
import { POSTERN, Site } from './site.js';
import { embeddedStore, ownStore, type Store } from './store.js';

export interface World {
  kind: 'embedded' | 'own';
  dir: string;
  site: Site;
  store: Store;
  hop: ChaosHop;
  desk: RedisDesk;
  /** Of the round that runs. */
  ledger: Ledger;
  auth: { user: string; pass: string };
  pick: <T>(items: T[]) => T | undefined;
}

export const MAX_MESSAGE_BYTES = 2_000_000;
export const WORKERS = 2;
/** Histories that are kept: more than a round makes, and so few that the memory of Redis comes to rest soon. */
const KEPT_HISTORIES = 4000;

/** Waits are as short as settings allow, so that a round ends in seconds. */
const HASTE = {
  POSTERN_WORKERS: String(WORKERS),
  POSTERN_DRAIN_SECONDS: '3',
  POSTERN_RETIRE_SECONDS: '3',
  POSTERN_SMTP_SECURE_PORT: 'off',
  POSTERN_SMTP_MAX_MESSAGE_BYTES: String(MAX_MESSAGE_BYTES),
  POSTERN_REDIS_COMMAND_TIMEOUT_SECONDS: '1',
  POSTERN_DELIVERY_LEASE_SECONDS: '2',
  POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1',
  POSTERN_DELIVERY_RETRY_MAX_SECONDS: '1',
  POSTERN_DELIVERY_CONNECT_TIMEOUT_SECONDS: '1',
  POSTERN_DELIVERY_REPLY_TIMEOUT_SECONDS: '1',
  POSTERN_DELIVERY_HOP_PAUSE_SECONDS: '0',
  POSTERN_REPORT_MAX_MESSAGES: String(KEPT_HISTORIES),
  POSTERN_LOG_FORMAT: 'json',
};

/** @param dir an empty folder. Everything ends with `lifecycle`. */
export async function makeWorld(kind: World['kind'], dir: string, lifecycle: Lifecycle): Promise<World> {
  const dataDir = join(dir, 'data');
  const tmpDir = join(dir, 'tmp');
  for (const folder of [dataDir, tmpDir, join(dir, 'redis')]) mkdirSync(folder, { mode: 0o700 });
  const ports = { smtp: await portBelowEphemeral(), http: await portBelowEphemeral() };
  const store =
    kind === 'own' ? await ownStore(join(dir, 'redis'), await portBelowEphemeral()) : embeddedStore(dataDir);
  lifecycle.defer(`the Redis of the ${kind} world`, () => store.stop());
  const ledger = new Ledger();
  const hop = await ChaosHop.start(await portBelowEphemeral(), (arrival) => world.ledger.arrivals.push(arrival));
  lifecycle.defer('the next hop', () => hop.stop());
  const env = { ...environment(), ...HASTE, ...store.env, ...settings(dataDir, tmpDir, ports, hop) };
  const site = new Site(dataDir, ports, env);
  lifecycle.defer('postern', () => site.destroy());
  const desk = new RedisDesk(store.client, { shards: 1 });
  const auth = { user: 'apikey', pass: '' };
  const world: World = { kind, dir, site, store, hop, desk, ledger, auth, pick: (items) => items[0] };
  await site.start();
  auth.pass = await mintKey(env);
  return world;
}

function settings(dataDir: string, tmpDir: string, ports: Site['ports'], hop: ChaosHop): Record<string, string> {
  return {
    POSTERN_DATA_DIR: dataDir,
    TMPDIR: tmpDir,
    POSTERN_SMTP_PORT: String(ports.smtp),
    POSTERN_HTTP_PORT: String(ports.http),
    POSTERN_RELAY_URL: `smtp://127.0.0.1:${hop.wire.port}`,
  };
}

/** Without settings of Postern that the developer has. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(POSTERN_|NODE_OPTIONS$|JEST_)/.test(name)),
  );
}

async function mintKey(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await promisify(execFile)(POSTERN, ['keys', 'create', '--name', 'chaos', '--json'], { env });
  return (JSON.parse(stdout) as { api_key: string }).api_key;
}
