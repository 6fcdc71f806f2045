// The composition of one worker process: every part is made here, once, from its slice of the configuration, and
// handed to the parts that need it. Reading this file from top to bottom is reading the two paths.
import { randomBytes } from 'node:crypto';
import { hostname as machineName } from 'node:os';
import type { HttpDoor } from './accept/http/door.js';
import { sendingRoutes } from './accept/http/routes.js';
import { ConnectionGate, type CommonCount } from './accept/smtp/connection-count.js';
import type { SmtpDoor } from './accept/smtp/door.js';
import { openSmtp } from './accept/smtp/listeners.js';
import type { SmtpListener } from './accept/smtp/server.js';
import { Budget } from './accept/budget.js';
import { Submitter } from './accept/submit.js';
import { Allowances } from './admit/allowance.js';
import { Policy } from './admit/policy.js';
import { Authenticator } from './authenticate/authenticator.js';
import { FailureCount } from './authenticate/failure-count.js';
import { LoginGuard } from './authenticate/login-guard.js';
import { HttpGate } from './authenticate/bearer.js';
import { RequestRate } from './authenticate/request-rate.js';
import { hostPort } from './base/address.js';
import { makeContexts, type CertificateSet } from './base/certificate-set.js';
import { systemClock } from './base/clock.js';
import { messageOf } from './base/fault.js';
import { makeHttpServer, openHttp, type HttpServer } from './base/http-server.js';
import { pooledRandom, systemRandom, timeOrderedId } from './base/ids.js';
import { Lifecycle } from './base/lifecycle.js';
import type { Log } from './base/log.js';
import { connectRedis, whenReady, type RedisClient } from './base/redis.js';
import type { Config } from './config.js';
import { CaptureRelay } from './deliver/capture.js';
import { HopPool } from './deliver/hop-pool.js';
import { parseNextHop } from './deliver/next-hop.js';
import { SmartHostRelay, type Relay } from './deliver/relay.js';
import { DeliveryWorker } from './deliver/worker.js';
import { AuditLog } from './keys/audit.js';
import { KeyDirectory } from './keys/directory.js';
import { KeyEditor } from './keys/editor.js';
import { hashKey } from './keys/pepper.js';
import { addressMatches } from './keys/policy.js';
import { RefusedLogins } from './keys/refused-logins.js';
import { KeyStore } from './keys/store.js';
import { KeyUsage } from './keys/usage.js';
import { KeyVerifier } from './keys/verify.js';
import { apiKeyRoutes } from './manage/api-keys.js';
import { healthRoutes } from './manage/health.js';
import { openapiRoute } from './manage/openapi.js';
import { messageRoutes } from './manage/messages.js';
import { QueueMetrics } from './manage/queue-metrics.js';
import type { MailMetrics } from './report/metrics.js';
import { TranscriptSink } from './report/transcript-sink.js';
import { TranscriptStore } from './report/transcript-store.js';
import { RedisBatches } from './spool/redis-batches.js';
import { RedisDesk } from './spool/redis-desk.js';
import { RedisSpool } from './spool/redis-spool.js';
import type { Addresses, Runtime } from './worker-messages.js';

/** How long a worker waits for Redis at its start. */
const REDIS_START_MS = 60_000;

export interface Worker {
  addresses: Addresses;
  /**
   * Ends everything, transactions and deliveries under way first. A worker that is `orphaned` does not keep its address
   * for health checks until then: the next server wants it.
   */
  drain(orphaned?: boolean): Promise<void>;
  /** Takes nothing new, and resolves when its clients have gone or `retireSeconds` are over; `drain` must follow. */
  retire(): Promise<void>;
  /** Of new handshakes. */
  setCertificates(set: CertificateSet): void;
}

export interface WorkerHooks {
  log: Log;
  metrics: MailMetrics;
  /** The figures of all processes. */
  allMetrics: () => Promise<string>;
  /** Whether the disk of the store has room for more mail. */
  hasRoom: () => boolean;
  /** Who counts the SMTP connections of all processes; without it this is the only one. */
  connections?: CommonCount;
}

/** Starts the parts that `runtime.roles` name. @throws OperatorError; then everything is released again. */
export async function startWorker(config: Config, runtime: Runtime, hooks: WorkerHooks): Promise<Worker> {
  const { log } = hooks;
  const lifecycle = new Lifecycle((name, error) => log.warn({ fault: messageOf(error) }, `cannot close ${name}`));
  try {
    return await compose(config, runtime, hooks, lifecycle);
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}

async function compose(config: Config, runtime: Runtime, hooks: WorkerHooks, lifecycle: Lifecycle): Promise<Worker> {
  const connect = connector(config, runtime, hooks.log, lifecycle);
  const redis = connect('commands');
  await whenReady(redis, REDIS_START_MS);

  const { audit, refusedLogins } = makeAudit(config, runtime, redis, hooks.log, lifecycle);
  const authenticator = await makeAuthenticator(config, runtime, connect, redis, hooks, lifecycle);
  const spool = makeSpool(config, redis, connect, hooks);
  const desk = new RedisDesk(redis, config.spool);
  const doors = makeDoors(config, redis, { authenticator, refusedLogins }, spool, hooks);
  const addresses: Addresses = {};

  let phase: 'starting' | 'serving' | 'draining' = 'starting';
  const checkReady = async (): Promise<void> => {
    if (phase !== 'serving') throw new Error(phase);
    await redis.ping();
  };
  // First up and last down, so that /readyz says what the process is about.
  let closeHttp = async (): Promise<void> => {};
  if (config.http.port !== 'off') {
    const server = await makeHttpServer(config.http, hooks.log);
    closeHttp = async () => void (await server.close());
    lifecycle.defer('the HTTP server', closeHttp);
    const queue = new QueueMetrics(desk);
    const allMetrics = async () => `${await hooks.allMetrics()}${await queue.text()}`;
    const gate = makeGate(config, { authenticator, refusedLogins }, doors.smtp.allowances, hooks);
    gate.install(server);
    healthRoutes(server, { gate, checkReady, metrics: allMetrics });
    manageKeys(server, gate, new KeyEditor(redis, audit, 'server'), { ...config.keys, pepper: runtime.pepper });
    messageRoutes(server, { gate, desk });
    openapiRoute(server);
    if (runtime.roles.includes('accept')) sendingRoutes(server, gate, doors.http);
    addresses.http = hostPort(config.host, await openHttp(server, config.host, config.http.port));
  }
  let drainUntil = 0;
  const delivery = runtime.roles.includes('deliver') ? makeDelivery(config, spool, hooks, lifecycle) : undefined;
  delivery?.start();
  lifecycle.defer('delivery', () => delivery?.stop(Math.max(1000, drainUntil - systemClock.now())));
  const listeners: SmtpListener[] = [];
  if (runtime.roles.includes('accept')) {
    listeners.push(...(await openListeners(config, runtime, doors.smtp, addresses, lifecycle, hooks)));
  }
  phase = 'serving';
  const { smtp, smtps, http } = addresses;
  return {
    addresses: { ...(smtp && { smtp }), ...(smtps && { smtps }), ...(http && { http }) },
    drain: (orphaned = false) => {
      phase = 'draining';
      if (orphaned) void closeHttp();
      drainUntil = systemClock.now() + config.drainSeconds * 1000;
      delivery?.stopClaiming();
      return lifecycle.close();
    },
    retire: async () => {
      // Its address belongs to the others now, health checks included.
      void closeHttp();
      delivery?.stopClaiming();
      await Promise.all(listeners.map((listener) => listener.retire(config.retireSeconds * 1000)));
    },
    setCertificates: (set) => showCertificates(listeners, set, runtime),
  };
}

type Connect = (name: string, blocking?: boolean) => RedisClient;

/** Makes connections to Redis that are closed with everything else. */
function connector(config: Config, runtime: Runtime, log: Log, lifecycle: Lifecycle): Connect {
  const settings = { url: runtime.redisUrl, commandTimeoutSeconds: config.redis.commandTimeoutSeconds };
  return (name, blocking = false) => {
    const client = connectRedis(settings, name, log, blocking);
    lifecycle.defer(`the Redis connection for ${name}`, () => client.disconnect());
    return client;
  };
}

async function makeAuthenticator(
  config: Config,
  runtime: Runtime,
  connect: Connect,
  redis: RedisClient,
  { log, metrics }: WorkerHooks,
  lifecycle: Lifecycle,
): Promise<Authenticator> {
  const store = new KeyStore(redis);
  const channel = connect('keys', true);
  await whenReady(channel, REDIS_START_MS);
  const directory = new KeyDirectory(store, channel, systemClock, log);
  directory.start();
  lifecycle.defer('the key directory', () => directory.stop());
  const secrets = { prefix: config.keys.prefix, pepper: runtime.pepper };
  const guard = new LoginGuard({
    count: new FailureCount(redis, config.auth),
    settings: config.auth,
    fingerprint: (presented) => hashKey(runtime.pepper, presented).slice(0, 16),
    ...{ clock: systemClock, log, metrics },
  });
  lifecycle.defer('the login guard', () => guard.stop());
  return new Authenticator(new KeyVerifier(directory, secrets, systemClock), new KeyUsage(store, systemClock), guard);
}

interface LoginParts {
  authenticator: Authenticator;
  refusedLogins: RefusedLogins;
}

const manageKeys = (
  server: HttpServer,
  gate: HttpGate,
  keys: KeyEditor,
  settings: { prefix: string; pepper: string; maxKeys: number },
) => apiKeyRoutes(server, { gate, keys, settings, clock: systemClock, random: systemRandom });

function makeAudit(config: Config, { pepper }: Runtime, redis: RedisClient, log: Log, lifecycle: Lifecycle) {
  const audit = new AuditLog(redis, { ...config.audit, pepper }, systemClock);
  const refusedLogins = new RefusedLogins(audit, (error) =>
    log.warn({ fault: messageOf(error) }, 'refused logins are missing in the audit log'),
  );
  lifecycle.defer('the count of refused logins', () => refusedLogins.stop());
  return { audit, refusedLogins };
}

function makeGate(
  config: Config,
  { authenticator, refusedLogins }: LoginParts,
  allowances: Allowances,
  { log, metrics }: WorkerHooks,
): HttpGate {
  return new HttpGate({
    authenticator,
    requests: new RequestRate(config.http.maxRequestsPerMinute, systemClock),
    messageRate: (principal) => allowances.view(principal),
    onLogin: (verdict, client, key, isNews) => {
      metrics.logins.inc({ verdict });
      if (verdict !== 'valid') refusedLogins.note(verdict, client, key);
      if (verdict === 'valid') log.debug({ client, key }, 'HTTP request with a key');
      else log[isNews ? 'warn' : 'debug']({ client, verdict, key }, 'HTTP request refused');
    },
  });
}

function makeSpool(config: Config, redis: RedisClient, connect: Connect, { log, metrics }: WorkerHooks): RedisSpool {
  const { keepHours, maxMessages: maxDone } = config.report;
  const { maxMessages: maxCaptured, maxBytes: maxCapturedBytes } = config.capture;
  const settings = { ...config.spool, leaseSeconds: config.delivery.leaseSeconds };
  const consumer = `${machineName()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  return new RedisSpool(
    redis,
    (shard) => connect(`claim-${shard}`, true),
    consumer,
    { ...settings, keepHours, maxDone, maxCaptured, maxCapturedBytes },
    systemClock,
    ({ id, reason }) => {
      metrics.setAside.inc();
      log.error({ id, reason }, 'message set aside: it cannot be delivered without help (postern messages show)');
    },
  );
}

/** Both doors lead into one funnel and share one budget of memory. */
function makeDoors(
  config: Config,
  redis: RedisClient,
  { authenticator, refusedLogins }: LoginParts,
  spool: RedisSpool,
  { log, metrics, hasRoom }: WorkerHooks,
): { smtp: SmtpDoor; http: HttpDoor } {
  const { hostname, smtp } = config;
  const policy = new Policy(addressMatches, smtp);
  const allowances = new Allowances(redis, systemClock);
  const budget = new Budget(smtp.maxBufferedBytes);
  const submitter = new Submitter({
    ...{ authenticator, policy, allowances, spool, hasRoom, clock: systemClock, budget },
    settings: { ...smtp, hostname },
    onFault: (error) => log.warn({ fault: messageOf(error) }, 'a message could not be taken'),
  });
  const random = pooledRandom();
  const newId = () => timeOrderedId(systemClock.now(), random);
  const parts = { authenticator, policy, submitter, newId, log, metrics, clock: systemClock };
  const shared = { settings: { ...smtp, hostname }, ...parts };
  const strangersBudget = new Budget(smtp.maxBufferedBytes / 4);
  const batches = new RedisBatches(redis, config.spool);
  return {
    smtp: { ...shared, allowances, refusedLogins, recording: makeRecording(config, redis) },
    http: { ...shared, spool, batches, budget, strangersBudget },
  };
}

const makeRecording = ({ sessions, keys }: Config, redis: RedisClient): SmtpDoor['recording'] =>
  sessions.keepHours > 0
    ? { sink: new TranscriptSink(new TranscriptStore(redis, sessions)), keyPrefix: keys.prefix }
    : undefined;

async function openListeners(
  config: Config,
  runtime: Runtime,
  door: SmtpDoor,
  addresses: Addresses,
  lifecycle: Lifecycle,
  { connections }: WorkerHooks,
): Promise<SmtpListener[]> {
  const { host, drainSeconds, smtp, workers } = config;
  const gate = new ConnectionGate(smtp, workers, connections);
  const settings = { host, drainSeconds, ports: { smtp: smtp.port, smtps: smtp.securePort } };
  const opened = await openSmtp(settings, door, gate, contextsOf(runtime.certificates, runtime), lifecycle);
  for (const { name, address } of opened) addresses[name] = address;
  return opened.map(({ listener }) => listener);
}

function makeDelivery(
  config: Config,
  spool: RedisSpool,
  { log, metrics }: WorkerHooks,
  lifecycle: Lifecycle,
): DeliveryWorker {
  const { delivery, hostname } = config;
  const pool = new HopPool({ ...delivery, hostname }, systemClock, (open) => metrics.hopConnections.set(open));
  lifecycle.defer('connections to next hops', () => pool.close());
  const hops = (config.relay.url ?? []).map(parseNextHop);
  const relay: Relay = hops.length ? new SmartHostRelay(hops, pool) : new CaptureRelay();
  const random = pooledRandom();
  const newId = () => timeOrderedId(systemClock.now(), random);
  return new DeliveryWorker({
    cutConnections: () => pool.abort(),
    hostname,
    newId,
    spool,
    relay,
    settings: delivery,
    clock: systemClock,
    chance: Math.random,
    log,
    metrics,
  });
}

function showCertificates(listeners: SmtpListener[], set: CertificateSet, runtime: Runtime): void {
  const contexts = contextsOf(set, runtime);
  for (const listener of listeners) listener.setContexts(contexts);
}

const contextsOf = (set: CertificateSet, { ticketKeys }: Runtime) =>
  makeContexts(set, Buffer.from(ticketKeys, 'base64'));
