// The command line of the benchmarks.
import { parseArgs } from 'node:util';
import { caseNamed, cases, defaultCases, type BenchCase } from './cases.js';

export interface BenchOptions {
  cases: BenchCase[];
  rounds: number;
  /** In place of each case's own number. */
  messages: number | undefined;
  peers: boolean;
  latency: boolean;
  /** Tables of the cost by number of connections, waiting messages and keys, in place of the cases. */
  growth: boolean;
  /** Minutes of a load at half the peak rate, in place of the cases. */
  soakMinutes: number | undefined;
  /** POST /v3/mail/send beside a bare fastify, in place of the cases. */
  http: boolean;
  /** Sessions between two readings of the memory, in place of the cases. */
  sessions: number | undefined;
  /** The memory of one worker with 10,000 idle connections, in place of the cases. */
  connections: boolean;
  /** The CPU time of odd messages beside that of a plain one, in place of the cases. */
  bodies: boolean;
  /** For a machine with other work: wait for quiet moments, and repeat disturbed rounds more often. */
  patient: boolean;
  /** Read the memory after half a minute of silence, when the garbage of the start is collected. */
  idle: boolean;
  jsonFile: string | undefined;
  /** Only these subjects. */
  subjects: string[] | undefined;
  /** Where Postern's processes leave CPU profiles when they end. */
  profileDir: string | undefined;
}

export const usage = `npm run bench -- [options]
  --all              all cases: ${cases.map(({ name }) => name).join(', ')}
  --case NAME        this case (repeatable); default: ${defaultCases.map(({ name }) => name).join(', ')}
  --rounds N         rounds of each case, default 3
  --messages N       messages of a round, in place of the case's own number
  --peers            Postfix and Haraka too (installs them: Postfix with apt-get, Haraka into a temporary folder)
  --subject NAME     only this one (repeatable): bare, postern-accept, postern-capture, postern-relay,
                     postfix, haraka
  --latency          also the latency at half the peak rate, 4 KB on kept connections
  --growth           in place of the cases: the cost by connections, waiting messages and keys (takes ten minutes)
  --soak MINUTES     in place of the cases: memory under half the peak rate
  --http             in place of the cases: POST /v3/mail/send beside a bare fastify, and the longest stall of a worker
  --sessions N       in place of the cases: memory before and after N short sessions
  --connections      in place of the cases: memory of one worker that holds 10,000 idle connections
  --bodies           in place of the cases: CPU time of odd messages (dots, bare CR, endless lines) beside a plain one
  --idle             the memory after 40 s without work, too
  --patient          wait for quiet moments of a machine that has other work; keep rounds short with --messages
  --json FILE        writes every figure
  --profile DIR      CPU profiles of Postern's processes (read them with test/bench/profile.ts)
Settings of Postern come from the environment (POSTERN_WORKERS=1 npm run bench).`;

/** @throws Error for a wrong option. */
export function readOptions(args: string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args,
    options: {
      ...{
        all: { type: 'boolean' },
        case: { type: 'string', multiple: true },
        rounds: { type: 'string', default: '3' },
      },
      ...{
        messages: { type: 'string' },
        peers: { type: 'boolean' },
        latency: { type: 'boolean' },
        growth: { type: 'boolean' },
        soak: { type: 'string' },
        http: { type: 'boolean' },
        sessions: { type: 'string' },
        connections: { type: 'boolean' },
        bodies: { type: 'boolean' },
        idle: { type: 'boolean' },
        patient: { type: 'boolean' },
      },
      ...{ subject: { type: 'string', multiple: true }, json: { type: 'string' }, profile: { type: 'string' } },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return 'help';
  const named = values.case?.map(caseNamed) ?? defaultCases;
  return {
    cases: values.all ? cases : named,
    rounds: count('--rounds', values.rounds),
    messages: values.messages === undefined ? undefined : count('--messages', values.messages),
    peers: values.peers ?? false,
    latency: values.latency ?? false,
    growth: values.growth ?? false,
    soakMinutes: values.soak === undefined ? undefined : count('--soak', values.soak),
    http: values.http ?? false,
    sessions: values.sessions === undefined ? undefined : count('--sessions', values.sessions),
    connections: values.connections ?? false,
    bodies: values.bodies ?? false,
    idle: values.idle ?? false,
    patient: values.patient ?? false,
    jsonFile: values.json,
    subjects: values.subject,
    profileDir: values.profile,
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name} ${text}: expected a whole number from 1`);
  return Number(text);
}
