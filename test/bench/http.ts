// Sending over HTTP: POST /v3/mail/send beside a bare fastify route that only parses the same JSON, and how long the
// worker is deaf to everybody else while attachments of 20 MB are sent through it.
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LoadSession } from '../support/load-session.js';
import { HttpClient, jsonRequest } from './http-client.js';
import { startCapturing, type PosternSubject } from './postern-subject.js';
import { cpuBetween, cpuOf, processTree, totalMs, type Process } from './processes.js';
import { Program } from './program.js';
import type { Bench } from './subject.js';
import { median } from './summary.js';

const FASTIFY = fileURLToPath(new URL('./fastify-server.ts', import.meta.url));
const CONNECTIONS = 20;
const REQUESTS = 5000;
const TEXT_BYTES = 4096;
const ATTACHMENT_BYTES = 20_000_000;
const LARGE_SENDS = 10;
const ASK_EVERY_MS = 2;

interface HttpSubject {
  name: string;
  httpPort: number;
  key: string;
  processes(): Process[];
  isIdle(): Promise<boolean>;
}

export interface HttpRow {
  subject: string;
  /** Medians of the rounds. */
  perSecond: number;
  cpuMsPerMessage: number;
  p50Ms: number;
  p99Ms: number;
  failures: number;
}

/** Milliseconds from NOOP to its reply, on a session with the worker that takes the attachments. */
export interface StallRow {
  when: 'without other work' | 'while attachments of 20 MB are sent';
  asked: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export async function benchHttp(bench: Bench, rounds: number, print: (text: string) => void) {
  const subjects = [await startPostern(bench), await startFastify(bench)];
  print(
    `\nHTTP: a JSON of ${TEXT_BYTES} octets of text on ${CONNECTIONS} kept connections, ${rounds} rounds of ${REQUESTS}`,
  );
  const samples: Record<string, HttpRow[]> = {};
  for (const subject of subjects) await sendMany(subject);
  for (let round = 0; round < rounds; round++)
    for (const subject of subjects) (samples[subject.name] ??= []).push(await sendMany(subject));
  const rows = Object.values(samples).map(medians);
  for (const { subject, perSecond, cpuMsPerMessage, p50Ms, p99Ms, failures } of rows)
    print(
      `  ${subject}: ${perSecond.toFixed(0)}/s, CPU ${cpuMsPerMessage.toFixed(3)} ms, p50 ${ms(p50Ms)} p99 ${ms(p99Ms)} ms` +
        (failures ? `, ${failures} FAILED` : ''),
    );
  const stalls = await benchStalls(bench);
  for (const { when, asked, p50Ms, p99Ms, maxMs } of stalls)
    print(`  NOOP on the same worker ${when}: p50 ${ms(p50Ms)} p99 ${ms(p99Ms)} max ${ms(maxMs)} ms of ${asked}`);
  return { rows, stalls };
}

async function startFastify({ lifecycle, dir }: Bench): Promise<HttpSubject> {
  const argv: [string, ...string[]] = [process.execPath, '--import', 'tsx', FASTIFY];
  const command = { name: 'fastify', argv, logFile: join(dir, 'fastify.log') };
  const { program, line } = await Program.startAndHear(command, lifecycle);
  return {
    name: 'fastify, parsing JSON only',
    httpPort: (JSON.parse(line) as { port: number }).port,
    key: 'any',
    // tsx leaves its compiler running.
    processes: () => processTree(program.pid).filter(({ name }) => name !== 'esbuild'),
    isIdle: () => Promise.resolve(true),
  };
}

async function startPostern(bench: Bench, name = 'http'): Promise<PosternSubject & HttpSubject> {
  const subject = await startCapturing(name, bench);
  return { ...subject, name: 'postern-capture', key: subject.auth.pass };
}

async function sendMany(subject: HttpSubject): Promise<HttpRow> {
  const request = jsonRequest('/v3/mail/send', subject.key, mailOf(TEXT_BYTES));
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpClient.open(subject.httpPort)));
  const times: number[] = [];
  let begun = 0;
  let failures = 0;
  const before = cpuOf(subject.processes());
  const startedAt = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      while (begun++ < REQUESTS) {
        const sentAt = performance.now();
        if ((await client.send(request)) === 202) times.push(performance.now() - sentAt);
        else failures++;
      }
      client.close();
    }),
  );
  const perSecond = (times.length * 1000) / (performance.now() - startedAt);
  while (!(await subject.isIdle())) await setTimeout(50);
  const cpuMsPerMessage = totalMs(cpuBetween(before, cpuOf(subject.processes()))) / times.length;
  return { subject: subject.name, perSecond, cpuMsPerMessage, p50Ms: at(times, 0.5), p99Ms: at(times, 0.99), failures };
}

function medians(rows: HttpRow[]): HttpRow {
  const mid = (value: (row: HttpRow) => number): number => median(rows.map(value));
  return {
    subject: rows[0]!.subject,
    ...{ perSecond: mid(({ perSecond }) => perSecond), cpuMsPerMessage: mid((row) => row.cpuMsPerMessage) },
    ...{ p50Ms: mid(({ p50Ms }) => p50Ms), p99Ms: mid(({ p99Ms }) => p99Ms) },
    failures: rows.reduce((sum, { failures }) => sum + failures, 0),
  };
}

/** With one worker, so that both the attachments and the questions are its. */
async function benchStalls(bench: Bench): Promise<StallRow[]> {
  const env = { POSTERN_WORKERS: '1', POSTERN_SMTP_MAX_COMMANDS: '1000000' };
  Object.assign(process.env, env);
  const subject = await startPostern({ ...bench, dir: join(bench.dir, 'stalls') });
  for (const name of Object.keys(env)) delete process.env[name];
  const alone = setTimeout(3000);
  const rows = [await askDuring(subject, 'without other work', alone)];
  const request = jsonRequest('/v3/mail/send', subject.key, mailOf(TEXT_BYTES, ATTACHMENT_BYTES));
  const client = await HttpClient.open(subject.httpPort);
  await client.send(request);
  const sends = (async () => {
    for (let sent = 0; sent < LARGE_SENDS; sent++) {
      const status = await client.send(request);
      if (status !== 202) throw new Error(`an attachment was answered with ${status}`);
    }
  })();
  rows.push(await askDuring(subject, 'while attachments of 20 MB are sent', sends));
  client.close();
  return rows;
}

async function askDuring(subject: PosternSubject, when: StallRow['when'], work: Promise<unknown>): Promise<StallRow> {
  const auth = () => subject.auth;
  const target = { host: '127.0.0.1', port: subject.port, tls: undefined, auth, ticket: undefined };
  const session = await LoadSession.open({ ...target, reuseTickets: false, resumed: 0 });
  const noop = Buffer.from('NOOP\r\n');
  const times: number[] = [];
  let ended = false;
  const end = work.finally(() => (ended = true));
  while (!ended) {
    const askedAt = performance.now();
    await session.ask(noop, '250');
    times.push(performance.now() - askedAt);
    await setTimeout(ASK_EVERY_MS);
  }
  await end;
  await session.quit();
  return { when, asked: times.length, p50Ms: at(times, 0.5), p99Ms: at(times, 0.99), maxMs: at(times, 1) };
}

function mailOf(textBytes: number, attachmentBytes = 0): Buffer {
  const content = Buffer.alloc(attachmentBytes, 'attachment').toString('base64');
  const mail = {
    personalizations: [{ to: [{ email: 'load@receiver.test' }] }],
    from: { email: 'load@sender.test' },
    subject: 'bench',
    content: [{ type: 'text/plain', value: 'A line of text.\n'.repeat(textBytes / 16) }],
    ...(content && { attachments: [{ content, filename: 'large.bin', type: 'application/octet-stream' }] }),
  };
  return Buffer.from(JSON.stringify(mail));
}

function at(times: number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

const ms = (value: number): string => value.toFixed(1);
