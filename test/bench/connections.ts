// What connections cost in memory: the processes before and after many short sessions, which must leave nothing behind,
// and one worker that holds many idle connections.
import { setTimeout } from 'node:timers/promises';
import { LoadSession, type Auth, type LoadTarget } from '../support/load-session.js';
import { makeMessage } from './load.js';
import { memoryOf } from './memory.js';
import { startCapturing } from './postern-subject.js';
import type { Bench, Subject } from './subject.js';

/** Resident memory in bytes, by process, at one moment. */
export interface MemoryRow {
  when: string;
  bytes: Record<string, number>;
}

const IDLE_CONNECTIONS = 10_000;
/** Below the backlog of the listener. */
const AT_ONCE = 100;
const SESSIONS_AT_ONCE = 20;
/** One session in so many sends a message. */
const WITH_MESSAGE = 10;
/** A heap is as large as it gets after so many. */
const WARM_UP = 20_000;
/** Until garbage is collected and pages are given back. */
const REST_MS = 40_000;

const TRANSACTION = Buffer.from('MAIL FROM:<load@sender.test>\r\nRCPT TO:<load@receiver.test>\r\nDATA\r\n');

export async function benchSessions(
  bench: Bench,
  sessions: number,
  print: (text: string) => void,
): Promise<MemoryRow[]> {
  print(`\n${sessions} sessions: connect, EHLO, AUTH, a message in every tenth, QUIT; resident memory`);
  const subject = await startCapturing('sessions', bench);
  const rows: MemoryRow[] = [];
  const note = (when: string): void => noteMemory(subject, when, rows, print);
  await holdSessions(subject, Math.min(WARM_UP, sessions));
  await setTimeout(REST_MS);
  note(`after a warm-up of ${Math.min(WARM_UP, sessions)}, at rest`);
  await holdSessions(subject, sessions);
  note(`after ${sessions} more`);
  await setTimeout(REST_MS);
  note(`after ${sessions} more, at rest`);
  return rows;
}

export async function benchIdleConnections(bench: Bench, print: (text: string) => void): Promise<MemoryRow[]> {
  print(`\n${IDLE_CONNECTIONS} idle connections on one worker; resident memory`);
  const env = {
    ...{ POSTERN_WORKERS: '1', POSTERN_SMTP_LOGIN_TIMEOUT_SECONDS: '3600', POSTERN_SMTP_IDLE_TIMEOUT_SECONDS: '3600' },
    POSTERN_SMTP_MAX_CONNECTIONS: '20000',
    POSTERN_SMTP_MAX_CONNECTIONS_PER_ADDRESS: '20000',
  };
  Object.assign(process.env, env);
  const subject = await startCapturing('connections', bench);
  for (const name of Object.keys(env)) delete process.env[name];
  const rows: MemoryRow[] = [];
  const note = (when: string): void => noteMemory(subject, when, rows, print);
  note('without connections');
  for (const [when, auth] of [
    [`${IDLE_CONNECTIONS} connections that said EHLO`, undefined],
    [`${IDLE_CONNECTIONS} connections that logged in`, subject.auth],
  ] as const) {
    const sessions = await openMany(targetOf(subject, auth));
    note(when);
    for (const session of sessions) session.close();
    await setTimeout(REST_MS);
    note('all closed, at rest');
  }
  return rows;
}

async function openMany(target: LoadTarget): Promise<LoadSession[]> {
  const sessions: LoadSession[] = [];
  while (sessions.length < IDLE_CONNECTIONS) {
    sessions.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => LoadSession.open(target)))));
  }
  return sessions;
}

async function holdSessions(subject: Subject, count: number): Promise<void> {
  const target = targetOf(subject, subject.auth as Auth);
  const message = Buffer.concat([makeMessage(4096), Buffer.from('.\r\n')]);
  let begun = 0;
  const client = async (): Promise<void> => {
    while (begun++ < count) {
      const session = await LoadSession.open(target);
      if (begun % WITH_MESSAGE === 0) {
        session.send(TRANSACTION);
        for (const code of ['250', '250', '354']) await session.expect(code);
        await session.ask(message, '250');
      }
      await session.quit();
    }
  };
  await Promise.all(Array.from({ length: SESSIONS_AT_ONCE }, client));
}

function targetOf({ port }: Subject, auth: Auth | undefined): LoadTarget {
  const tls = { tls: undefined, ticket: undefined, reuseTickets: false, resumed: 0 };
  return { host: '127.0.0.1', port, auth: () => auth, ...tls };
}

function noteMemory(subject: Subject, when: string, rows: MemoryRow[], print: (text: string) => void): void {
  const processes = subject.processes().map((process) => [`${process.name} ${process.pid}`, process] as const);
  const bytes = Object.fromEntries(processes.map(([name, process]) => [name, memoryOf([process]).rssBytes]));
  rows.push({ when, bytes });
  const parts = Object.entries(bytes).map(([name, value]) => `${name} ${(value / 1e6).toFixed(0)} MB`);
  print(`  ${when}: ${parts.join(', ')}`);
}
