// What odd messages cost: CPU time per megabyte of all processes, as a ratio to a plain message of the same size. An
// account with a key must not be able to burn a core with a few megabytes.
import { setTimeout } from 'node:timers/promises';
import { LoadSession, type LoadFailure } from '../support/load-session.js';
import { startCapturing } from './postern-subject.js';
import { cpuBetween, cpuOf, totalMs } from './processes.js';
import type { Bench, Subject } from './subject.js';
import { median } from './summary.js';

export interface BodyRow {
  body: string;
  /** To `MAIL`, `RCPT`, `DATA` and the message, the last one. */
  reply: string;
  cpuMsPerMegabyte: number;
  /** CPU time to that of a plain message. */
  ratio: number;
}

const BYTES = 10_000_000;
const MESSAGES = 4;
const HEADER = 'From: load@sender.test\r\nSubject: bench\r\n';
const MIME = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n';
const DEPTH = 100_000;

const filled = (line: string): string => line.repeat(Math.ceil(BYTES / line.length)).slice(0, BYTES);
const nested = (depth: number): string =>
  `--b${depth}\r\nContent-Type: multipart/mixed; boundary=b${depth + 1}\r\n\r\n`;

/** As they go over the wire, the final dot aside. */
const bodies: Record<string, () => string> = {
  'lines of 76 letters': () => `${HEADER}\r\n${filled(`${'a'.repeat(76)}\r\n`)}`,
  'lines that are a stuffed dot': () => `${HEADER}\r\n${filled('..\r\n')}`,
  'lines that begin with a stuffed dot': () => `${HEADER}\r\n${filled(`..${'a'.repeat(20)}\r\n`)}`,
  'empty lines': () => `${HEADER}\r\n${filled('\r\n')}`,
  'bare CR': () => `${HEADER}\r\n${filled('\r')}`,
  'bare LF': () => `${HEADER}\r\n${filled('\n')}`,
  'CR CR LF': () => `${HEADER}\r\n${filled('\r\r\n')}`,
  'one line': () => `${HEADER}\r\n${filled('a')}`,
  'fields of one letter': () => filled('a:\r\n'),
  'lines of one letter in place of a header': () => filled('a\r\n'),
  'one field, folded': () => `Subject: a\r\n${filled(' a\r\n')}`,
  'a field of one line': () => `Subject: ${filled('a')}`,
  'parts in parts': () => HEADER + MIME + filled(Array.from({ length: DEPTH }, (_, depth) => nested(depth)).join('')),
};

export async function benchBodies(bench: Bench, rounds: number, print: (text: string) => void): Promise<BodyRow[]> {
  print(
    `\nmessages of ${BYTES / 1e6} MB, ${MESSAGES} a round, ${rounds} rounds: CPU ms per MB, and as a ratio to the first`,
  );
  const subject = await startCapturing('bodies', bench);
  const rows: BodyRow[] = [];
  for (const [body, make] of Object.entries(bodies)) {
    const wire = Buffer.from(`${make()}\r\n.\r\n`);
    const costs: number[] = [];
    let reply = '';
    for (let round = 0; round <= rounds; round++) {
      const before = cpuOf(subject.processes());
      reply = await send(subject, wire, MESSAGES);
      // The first one warms up.
      if (round > 0) costs.push(totalMs(cpuBetween(before, cpuOf(subject.processes()))));
    }
    const cpuMsPerMegabyte = median(costs) / ((MESSAGES * BYTES) / 1e6);
    const row = {
      body,
      reply,
      cpuMsPerMegabyte,
      ratio: cpuMsPerMegabyte / (rows[0]?.cpuMsPerMegabyte ?? cpuMsPerMegabyte),
    };
    rows.push(row);
    print(`  ${body}: ${cpuMsPerMegabyte.toFixed(1)} ms, ${row.ratio.toFixed(1)} (${reply.slice(0, 9)})`);
  }
  return rows;
}

/** @returns the last reply */
async function send(subject: Subject, wire: Buffer, messages: number): Promise<string> {
  const auth = () => [subject.auth].flat()[0];
  const target = { host: '127.0.0.1', port: subject.port, tls: undefined, auth, ticket: undefined };
  const session = await LoadSession.open({ ...target, reuseTickets: false, resumed: 0 });
  let reply = '250 2.6.0';
  for (let sent = 0; sent < messages; sent++) {
    await session.ask(Buffer.from('MAIL FROM:<load@sender.test>\r\n'), '250');
    await session.ask(Buffer.from('RCPT TO:<load@receiver.test>\r\n'), '250');
    await session.ask(Buffer.from('DATA\r\n'), '354');
    await session.ask(wire, '250').catch((error: LoadFailure) => (reply = error.message));
  }
  await session.quit();
  while (!(await subject.isIdle())) await setTimeout(50);
  return reply;
}
