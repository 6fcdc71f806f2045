// The documents say what is true of the code: tables, settings, command lines, paths and links are compared with it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { runInNewContext } from 'node:vm';
import { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { auditCommand } from '../src/cli/audit.js';
import { configCommand } from '../src/cli/config.js';
import { explainCommand } from '../src/cli/explain.js';
import { guardCommand } from '../src/cli/guard.js';
import { keysCommand } from '../src/cli/keys.js';
import { messagesCommand } from '../src/cli/messages.js';
import { sendCommand } from '../src/cli/send.js';
import { serveCommand } from '../src/cli/serve.js';
import { sessionsCommand } from '../src/cli/sessions.js';
import { envName, loadConfig } from '../src/config.js';
import { refusals } from '../src/message/refusal.js';

const ROOT = join(__dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const documents = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

/** The rows of the first table whose head begins with `first`, its cells without back quotes. */
function tableIn(file: string, ...first: string[]): string[][] {
  const rows = read(file)
    .split('\n')
    .map((line) => (line.startsWith('|') ? line.split('|').slice(1, -1) : []))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')));
  const head = rows.findIndex((cells) => first.every((name, at) => cells[at] === name));
  if (head < 0) throw new Error(`${file} has no table ${first.join(' | ')}`);
  const length = rows.slice(head).findIndex((cells) => cells.length === 0);
  return rows.slice(head + 2, length < 0 ? undefined : head + length);
}

test('docs/refusals.md has the rows of the table of refusals, in its order', () => {
  const expected = Object.entries(refusals).map(([reason, { code, enhanced, http, text }]) => [
    ...[reason, String(code), enhanced, String(http), text],
  ]);
  expect(tableIn('docs/refusals.md', 'reason', 'SMTP', 'enhanced', 'HTTP', 'text')).toEqual(expected);
});

describe('config/default.yml', () => {
  type Leaf = string | number | boolean | string[] | null;
  interface Tree {
    [name: string]: Leaf | Tree;
  }
  const leavesOf = (tree: Tree, prefix = ''): [string, Leaf][] =>
    Object.entries(tree).flatMap(([name, value]) =>
      value !== null && typeof value === 'object' && !Array.isArray(value)
        ? leavesOf(value, `${prefix}${name}.`)
        : [[prefix + name, value] as [string, Leaf]],
    );
  const leaves = leavesOf(parseYaml(read('config/default.yml')) as Tree);

  test('names every setting of the schema, and nothing else', () => {
    const config = leavesOf(loadConfig({}));
    expect(config.map(([path]) => path).sort()).toEqual(leaves.map(([path]) => path).sort());
  });

  test('has the defaults that are in force, and each may be given by the environment', () => {
    const inForce = (env: Record<string, string> = {}) => new Map(leavesOf(loadConfig(env)));
    const usual = inForce();
    const given = ([path, value]: [string, Leaf]) => inForce({ [envName(path)]: value === null ? '' : String(value) });
    expect(leaves.filter(([path, value]) => value !== null && usual.get(path) !== value)).toEqual([]);
    expect(leaves.filter((leaf) => given(leaf).get(leaf[0]) !== usual.get(leaf[0]))).toEqual([]);
  });

  test('explains every setting in a comment right above it, or above its neighbour, by name', () => {
    const lines = read('config/default.yml').split('\n');
    const nameOf = (line = ''): string | undefined => /^ *(\w+): ?\S/.exec(line)?.[1];
    const isComment = (line = ''): boolean => /^ *# \S/.test(line);
    const bare = lines.filter((line, at) => {
      const name = nameOf(line);
      if (!name || isComment(lines[at - 1])) return false;
      return !(nameOf(lines[at - 1]) && isComment(lines[at - 2]) && lines[at - 2]!.includes(name));
    });
    expect(bare).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  test('has the import table that is enforced', () => {
    interface Rule {
      name: string;
      from: { path?: string };
      to: { pathNot?: string | string[] };
    }
    const sandbox = { module: { exports: { forbidden: [] as Rule[] } } };
    runInNewContext(read('.dependency-cruiser.cjs'), sandbox);
    const enforced = sandbox.module.exports.forbidden.flatMap(({ from, to: { pathNot } }) => {
      const folder = /^\^src\/(\w+)\/$/.exec(from.path ?? '')?.[1];
      if (!folder || !Array.isArray(pathNot)) return [];
      const allowed = pathNot.map((pattern) => pattern.replace(/^\^src\//, '').replace(/\/$|\\|\$$/g, ''));
      return [[folder, allowed.filter((name) => name !== folder).join(', ') || 'nothing of ours']];
    });
    const written = tableIn('docs/architecture.md', 'folder', 'may import');
    // A folder may always import base, which for base itself is to say nothing else.
    expect(enforced.length).toBeGreaterThan(5);
    expect(written).toEqual(enforced);
  });

  test('links the test of every promise', () => {
    const tests = readdirSync(join(ROOT, 'test/promises')).map((file) => file.replace('.test.ts', ''));
    const linked = tableIn('docs/architecture.md', 'promise', 'test').map(([, link]) => /^\[(.*)\]/.exec(link!)![1]);
    expect(linked).toEqual(tests.sort());
  });
});

test('docs/operations.md explains every metric, and no other', () => {
  const sources = ['src/report/metrics.ts', 'src/manage/queue-metrics.ts'].map(read).join('\n');
  const made = [...sources.matchAll(/'(postern_\w+)'/g)].map(([, name]) => name!);
  const explained = tableIn('docs/operations.md', 'metric').map(([name]) => name!);
  expect(explained.sort()).toEqual(made.sort());
});

describe('command lines in the documents', () => {
  /** The definitions of the program, whose commands do nothing. */
  function program(): Command {
    const made = new Command('postern').option('--config <file>').exitOverride();
    made.configureOutput({ writeOut: () => {}, writeErr: () => {} });
    const commands = [
      serveCommand,
      keysCommand,
      auditCommand,
      explainCommand,
      guardCommand,
      sessionsCommand,
      messagesCommand,
      sendCommand,
      configCommand,
    ];
    for (const add of commands) add(made);
    const disarm = (command: Command): void => {
      if (command.commands.length === 0) command.action(() => {});
      command.commands.forEach(disarm);
    };
    disarm(made);
    return made;
  }

  /** The words behind each call of postern on a line, quotes taken off; redirections and what follows are left out. */
  function callsIn(line: string): string[][] {
    const calls = line.matchAll(/(?:^|[\s(|;=`])(?:\S*\/)?postern ((?:postern )?(?:"[^"]*"|'[^']*'|[^"'|;&>)`#])*)/g);
    return [...calls].map(([, words]) =>
      [...words!.replace(/^postern /, '').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((word) => word.slice(1).join('')),
    );
  }

  /** The lines of shell and unit-file blocks. */
  const blocksIn = (text: string): string[] =>
    [...text.matchAll(/^```(?:sh|ini)\n(.*?)^```/gms)].flatMap(([, block]) =>
      block!.replaceAll('\\\n', ' ').split('\n'),
    );

  const inlineIn = (text: string): string[] =>
    [...text.replace(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!);

  const described = documents.flatMap((file) =>
    [blocksIn, inlineIn].flatMap((linesIn) =>
      linesIn(read(file))
        .flatMap(callsIn)
        .map((words) => ({ file, words, call: words.join(' '), whole: linesIn === blocksIn })),
    ),
  );
  /** What is left out where a command is only named in a sentence. */
  const LEFT_OUT = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'];

  test('are found', () => {
    for (const file of ['README.md', 'docs/operations.md', 'docs/scopes.md']) {
      expect(described.filter((each) => each.file === file && each.whole).length).toBeGreaterThan(3);
    }
    expect(callsIn('export KEY=$(bin/postern keys create --name "a b") # x')).toEqual([
      ['keys', 'create', '--name', 'a b'],
    ]);
  });

  /** What the shell would put there. */
  const filled = (word: string): string => (word === '$ID' ? 'A'.repeat(22) : word);

  test.each(described)('$file: postern $call', async ({ words, whole }) => {
    const outcome = await program()
      .parseAsync(words.map(filled), { from: 'user' })
      .then(
        () => 'parsed',
        (error: { code: string; exitCode: number; message: string }) =>
          error.exitCode === 0 || (!whole && LEFT_OUT.includes(error.code)) ? 'parsed' : error.message,
      );
    expect(outcome).toBe('parsed');
  });

  test.each([[['keys', 'mint']], [['keys', 'create', '--nmae', 'x']], [['messages', 'show']], [['sreve']]])(
    'a wrong one would be noticed: %s',
    async (words) => {
      await expect(program().parseAsync(words, { from: 'user' })).rejects.toMatchObject({ exitCode: 1 });
    },
  );
});

describe('what documents point to', () => {
  const anchorOf = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replaceAll(' ', '-');

  function brokenLinks(file: string): string[] {
    const text = read(file).replace(/^```.*?^```/gms, '');
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
    return targets.filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [path, anchor] = target.split('#') as [string, string | undefined];
      const linked = path ? relative(ROOT, join(ROOT, dirname(file), path)) : file;
      if (!existsSync(join(ROOT, linked))) return true;
      const headings = anchor === undefined ? [] : [...read(linked).matchAll(/^#+ (.*)$/gm)].map(([, text]) => text!);
      return anchor !== undefined && !headings.map(anchorOf).includes(anchor);
    });
  }

  test.each(documents)('%s: its links lead to files and headings that exist', (file) => {
    expect(brokenLinks(file)).toEqual([]);
  });

  test.each(documents)('%s: the paths in its code exist', (file) => {
    const paths = [...read(file).matchAll(/`((?:src|test|config|bin|docs)\/[\w./-]+)`/g)].map(([, path]) => path!);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
