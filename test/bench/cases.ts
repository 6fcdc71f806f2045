// What the benchmarks send, case by case. Every case logs in; sizes are those of the message without SMTP framing.

export interface BenchCase {
  name: string;
  title: string;
  sizeBytes: number;
  connections: number;
  mode: 'kept' | 'per-message';
  starttls: boolean;
  recipients: number;
  /** Of one round; a peer that relays a few hundred a second still ends in seconds. */
  messages: number;
}

const plain = { sizeBytes: 4096, connections: 20, mode: 'kept', starttls: false, recipients: 1 } as const;
const MEBIBYTE = 1_048_576;

export const cases: BenchCase[] = [
  { ...plain, name: 'kept-4k', title: '4 KB on 20 connections that are kept', messages: 10_000 },
  {
    ...plain,
    ...{ name: 'connect-4k', title: '4 KB, a connection and a login per message, 20 at a time' },
    ...{ mode: 'per-message', messages: 5000 },
  },
  {
    ...plain,
    ...{
      name: 'starttls-4k',
      title: '4 KB, a connection with a full STARTTLS handshake and a login per message, 20 at a time',
    },
    ...{ mode: 'per-message', starttls: true, messages: 2000 },
  },
  { ...plain, name: 'kept-100k', title: '100 KB on 20 connections that are kept', sizeBytes: 102_400, messages: 2000 },
  {
    ...plain,
    ...{ name: 'kept-10m', title: '10 MB on 4 connections that are kept' },
    ...{ sizeBytes: 10 * MEBIBYTE, connections: 4, messages: 40 },
  },
  {
    ...plain,
    name: 'recipients-50',
    title: '4 KB to 50 recipients on 20 connections that are kept',
    recipients: 50,
    messages: 2000,
  },
];

/** What `npm run bench` runs when nothing is asked for. */
export const defaultCases = cases.slice(0, 2);

/** @throws Error that lists the names. */
export function caseNamed(name: string): BenchCase {
  const found = cases.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no case '${name}'; there are ${cases.map((known) => known.name).join(', ')}`);
  return found;
}
