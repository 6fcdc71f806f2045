// What a person reads: a table for each case, and Postern's ratios to everything else in it.
import { QUIET_CORES, rateOf, type Row } from './summary.js';

const HEAD = [
  '',
  'accepted/s',
  'relayed/s',
  'range',
  'CPU ms/msg',
  'user',
  'system',
  'p50 ms',
  'p99 ms',
  'cores',
  'CPU by process',
];

/** Rows under a head, columns aligned; the first and the last to the left. */
export function tableOf(rows: Row[]): string {
  const cells = [HEAD, ...rows.map(cellsOf)];
  const widths = HEAD.map((_head, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const last = HEAD.length - 1;
  const pad = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[0]!) : column === last ? text : text.padStart(widths[column]!);
  return cells.map((row) => `  ${row.map(pad).join('  ')}`.trimEnd()).join('\n');
}

function cellsOf(row: Row): string[] {
  const { subject, acceptedPerSecond, relayedPerSecond, range, latencyMs, cpuMsByProcess } = row;
  const parts = Object.entries(cpuMsByProcess).filter(([, ms]) => ms >= 0.0005);
  return [
    subject,
    whole(acceptedPerSecond),
    relayedPerSecond === undefined ? '-' : whole(relayedPerSecond),
    range.map(whole).join('-'),
    ...[row.cpuMsPerMessage, row.userMsPerMessage, row.systemMsPerMessage].map(fine),
    ...[latencyMs.p50, latencyMs.p99].map((ms) => ms.toFixed(1)),
    row.cores.subject.toFixed(2),
    parts.map(([name, ms]) => `${name} ${fine(ms)}`).join(', '),
  ];
}

/** A line for each other subject: how many times its rate and its CPU time Postern has. */
export function ratiosOf(rows: Row[]): string[] {
  const ours = rows.filter(({ subject }) => subject.startsWith('postern'));
  const others = rows.filter((row) => !ours.includes(row));
  return ours.flatMap((our) => others.filter((other) => comparable(our, other)).map((other) => ratio(our, other)));
}

/** What relays is compared with what relays, and everything with the ceiling. */
const comparable = (our: Row, other: Row): boolean => other.subject === 'bare' || our.relayedPerSecond !== undefined;

function ratio(our: Row, other: Row): string {
  const rate = (rateOf(our) / rateOf(other)).toFixed(2);
  const cpu = (our.cpuMsPerMessage / other.cpuMsPerMessage).toFixed(2);
  const accepted = (our.acceptedPerSecond / other.acceptedPerSecond).toFixed(2);
  return `  ${our.subject} / ${other.subject}: accepted/s ${accepted}, rate ${rate}, CPU per message ${cpu}`;
}

export function remarksOf(rows: Row[]): string[] {
  return rows.flatMap(({ subject, failures, surplus, cores }) => [
    ...(failures ? [`  ${subject}: ${failures} messages FAILED`] : []),
    ...(surplus ? [`  ${subject}: ${surplus} messages reached the sink more than once`] : []),
    ...(cores.others > QUIET_CORES
      ? [`  ${subject}: DISTURBED, other programs used ${cores.others.toFixed(2)} cores`]
      : []),
  ]);
}

const whole = (value: number): string => value.toFixed(value < 20 ? 1 : 0);
const fine = (value: number): string => value.toFixed(value < 10 ? 3 : 1);
