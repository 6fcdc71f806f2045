// Where the CPU time goes, from the profiles that `run.ts --profile DIR` leaves. Three tables for each process: time
// spent in functions themselves; time charged to the code that asked for it (a write to a socket counts where Postern
// or a package made it, not where Node did it); and that by package or folder. Idle time is left out.
//   node --import tsx test/bench/profile.ts DIR
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where a function begins; numbers from 0. */
interface Frame {
  functionName: string;
  url: string;
  lineNumber: number;
  columnNumber: number;
}

interface Profile {
  nodes: { id: number; callFrame: Frame; children?: number[] }[];
  samples: number[];
  timeDeltas: number[];
}

const TOP = 25;
const IDLE = new Set(['(idle)', '(root)']);

/** Microseconds by label; `label` sees the frames from the function itself outwards. */
function timesBy(profile: Profile, label: (stack: Frame[]) => string): Map<string, number> {
  const stacks = stacksOf(profile);
  const labels = new Map([...stacks].map(([id, stack]) => [id, IDLE.has(stack[0]!.functionName) ? '' : label(stack)]));
  const times = new Map<string, number>();
  profile.samples.forEach((id, at) => {
    const name = labels.get(id)!;
    if (name) times.set(name, (times.get(name) ?? 0) + profile.timeDeltas[at]!);
  });
  return times;
}

/** Nodes come after their parents. */
function stacksOf({ nodes }: Profile): Map<number, Frame[]> {
  const stacks = new Map<number, Frame[]>();
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  for (const { id, callFrame } of nodes) stacks.set(id, [callFrame, ...(stacks.get(parents.get(id) ?? -1) ?? [])]);
  return stacks;
}

const isOfNode = ({ url }: Frame): boolean => url === '' || url.startsWith('node:');

/** The innermost frame that is not Node's. */
const asker = (stack: Frame[]): Frame => stack.find((frame) => !isOfNode(frame)) ?? stack[0]!;

/** By URL of a bundle; undefined for what has none. */
const maps = new Map<string, SourceMap | undefined>();

function mapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) {
    const file = url.startsWith('file:') ? `${fileURLToPath(url)}.map` : '';
    const exists = file !== '' && existsSync(file);
    maps.set(url, exists ? new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload) : undefined);
  }
  return maps.get(url);
}

/** Where it was written, from the first node_modules or src on. */
function sourceOf({ url, lineNumber, columnNumber }: Frame): { file: string; line: number } {
  if (url === '') return { file: '(native)', line: 0 };
  const entry = mapOf(url)?.findEntry(lineNumber, columnNumber);
  const { originalSource = url, originalLine = lineNumber } = entry && 'originalSource' in entry ? entry : {};
  return { file: originalSource.replace(/^.*?(?=\b(?:node_modules|src)\/)/, ''), line: originalLine + 1 };
}

function functionOf(frame: Frame): string {
  const { file, line } = sourceOf(frame);
  return `${frame.functionName || '(anonymous)'} ${file}:${line}`;
}

/** A package, a folder of ours, or Node. */
function partOf(frame: Frame): string {
  if (frame.functionName === '(garbage collector)') return frame.functionName;
  if (isOfNode(frame)) return '(node)';
  const { file } = sourceOf(frame);
  return /^(?:node_modules\/(?:@[^/]+\/)?[^/]+|src\/[^/]+)/.exec(file)?.[0] ?? file;
}

function printTop(title: string, times: Map<string, number>): void {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  console.log(`\n${title} (${(total / 1e6).toFixed(2)} s of CPU)`);
  for (const [name, time] of [...times].sort((a, b) => b[1] - a[1]).slice(0, TOP)) {
    console.log(`${((100 * time) / total).toFixed(1).padStart(6)} %  ${name}`);
  }
}

const dir = process.argv[2];
if (!dir) throw new Error('usage: node --import tsx test/bench/profile.ts DIR');
for (const file of readdirSync(dir).filter((name) => name.endsWith('.cpuprofile'))) {
  const profile = JSON.parse(readFileSync(join(dir, file), 'utf8')) as Profile;
  printTop(
    `${file}: by function`,
    timesBy(profile, ([self]) => functionOf(self!)),
  );
  printTop(
    `${file}: by who asked for it`,
    timesBy(profile, (stack) => functionOf(asker(stack))),
  );
  printTop(
    `${file}: by part`,
    timesBy(profile, (stack) => partOf(asker(stack))),
  );
}
