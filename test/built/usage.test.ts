// What the command line promises of every command alike: help with an example, exit codes, answers on standard output
// and everything else on standard error, and no way to give it a key as an argument.
import { execute, postern, POSTERN, type CommandResult } from '../support/built-command.js';
import { startPostern, temporaryFolder, type ReadyPostern } from '../support/built-server.js';
import { submitOnce } from '../support/built-mail.js';
import { together } from '../support/built-together.js';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY_LIKE = `SG.${'a'.repeat(22)}.${'b'.repeat(42)}A`;

/** Each command once, in a folder of its own; a test asks for the answer by the words of the command. */
function answers(commands: string[][]): (args: readonly string[]) => Promise<CommandResult> {
  const words = (args: readonly string[]) => JSON.stringify(args);
  const answer = together(commands.map(words), (name) =>
    postern(JSON.parse(name) as string[], { cwd: temporaryFolder() }),
  );
  return (args) => answer(words(args));
}

describe('help', () => {
  const commands = [
    ...[[], ['serve'], ['keys'], ['messages'], ['config'], ['send'], ['config', 'check'], ['config', 'print']],
    ...['create', 'list', 'show', 'update', 'revoke', 'verify'].map((verb) => ['keys', verb]),
    ...['list', 'show', 'retry', 'cancel'].map((verb) => ['messages', verb]),
  ].map((words) => [...words, '--help']);
  const nouns = ['--help', 'keys --help', 'messages --help', 'config --help'];
  const verbs = commands.filter((args) => !nouns.includes(args.join(' ')));
  const answer = answers(commands);

  it.each(commands.map((args) => [args.join(' '), args] as const))('%s shows an example', async (_name, args) => {
    const { code, stdout, stderr } = await answer(args);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const example = stdout.split(/^Example.*:$/m)[1];
    expect(example).toMatch(new RegExp(`postern .*${args.slice(0, -1).join(' ')}`));
  });

  it('names every option of keys create', async () => {
    const { stdout } = await answer(['keys', 'create', '--help']);
    const options = ['name', 'scope', 'from', 'to', 'ip', 'expires', 'rate', 'quota', 'max-bytes', 'max-recipients'];

    for (const name of [...options, 'require-tls', 'json']) expect(stdout).toContain(`--${name}`);
  });

  it.each(verbs.map((args) => [args.join(' '), args] as const))(
    '%s offers --json, and no option that takes a key',
    async (_name, args) => {
      const { stdout } = await answer(args);

      expect(stdout).toMatch(/^\s+--json\b/m);
      expect(stdout).not.toMatch(/^\s+(-\w, )?--[\w-]*(key|secret|password|pepper|token)[\w-]* [<[]/m);
    },
  );
});

describe('wrong usage', () => {
  const cases: [string[], RegExp][] = [
    [['launch'], /launch/],
    [['keys'], /Usage: postern keys/],
    [['keys', 'destroy'], /destroy/],
    [['keys', 'show'], /id/],
    [['keys', 'revoke'], /id/],
    [['keys', 'list', '--all'], /--all/],
    [['messages', 'show'], /id/],
    [['messages', 'erase', 'x'], /erase/],
    [['send'], /--to/],
    [['send', '--to', 'a@example.com', '--body', 'x'], /--body/],
    [['config', 'set', 'x'], /set/],
    [['serve', '--role', 'cook'], /cook/],
    [['serve', '--port', '25'], /--port/],
    [['serve', 'now'], /too many arguments/],
    [['--verbose', 'keys', 'list'], /--verbose/],
  ];
  const answer = answers(cases.map(([args]) => args));

  it.each(cases)('%j is refused with exit code 2 and says why', async (args, message) => {
    const { code, stdout, stderr } = await answer(args);

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('a key on the command line', () => {
  const cases = [
    ['send', '--to', 'a@example.com', '--key', KEY_LIKE],
    ['send', '--to', 'a@example.com', KEY_LIKE],
    ['send', '--to', 'a@example.com', `--api-key=${KEY_LIKE}`],
    ['keys', 'verify', KEY_LIKE],
    ['keys', 'create', '--name', 'x', '--api-key', KEY_LIKE],
    [KEY_LIKE],
  ];
  const answer = answers(cases);

  it.each(cases.map((args) => [args.join(' ').replace(KEY_LIKE, 'KEY'), args] as const))(
    'is not taken and not repeated: %s',
    async (_name, args) => {
      const { code, stdout, stderr } = await answer(args);

      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).not.toContain('b'.repeat(42));
    },
  );
});

describe('postern --version', () => {
  it('prints the version', async () => {
    expect(await postern(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });
});

describe('postern config', () => {
  const secrets = {
    POSTERN_KEYS_PEPPER: 'pepper-pepper-pepper-pepper-pepper-pepper',
    POSTERN_REDIS_URL: 'redis://user:redis-password@127.0.0.1:6390/0',
    POSTERN_RELAY_URL: 'smtp://user:relay-password@relay.example.com:587',
  };
  const SECRET = /pepper-pepper|redis-password|relay-password/;

  it('check says that a usable configuration is usable, and asks nothing of Redis', async () => {
    const [text, json] = await Promise.all([
      postern(['config', 'check'], { env: secrets }),
      postern(['config', 'check', '--json'], { env: secrets }),
    ]);

    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).not.toBe('');
    expect(json.code).toBe(0);
    expect(JSON.parse(json.stdout)).toEqual(expect.any(Object));
  });

  it('check names every problem with its path, its value and what is allowed, and no secret', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'postern.yml');
    writeFileSync(file, 'smtp:\n  port: 99999\n  maxRecipient: 5\nlog:\n  level: loud\n');
    const env = {
      ...secrets,
      POSTERN_KEYS_PEPPER: 'too-short-pepper',
      POSTERN_RELAY_URL: 'https://user:relay-password@relay.example.com',
      POSTERN_WORKERS: 'many',
      POSTERN_SMTP_PROT: '25',
    };

    const { code, stdout, stderr } = await postern(['--config', file, 'config', 'check'], { env });

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    for (const problem of [
      /smtp\.port.*99999.*65535/,
      /smtp\.maxRecipient\b/,
      /log\.level.*loud.*debug/,
      /keys\.pepper.*32/,
      /relay\.url.*smtps?:\/\//,
      /workers.*many/,
      /POSTERN_SMTP_PROT/,
    ])
      expect(stderr).toMatch(problem);
    expect(stderr).not.toMatch(/too-short-pepper|relay-password|redis-password/);
  });

  it('print shows every setting in force and where secrets are, but not what they are', async () => {
    const env = { ...secrets, POSTERN_SMTP_MAX_MESSAGE_BYTES: '123456' };
    const [text, json] = await Promise.all([
      postern(['config', 'print'], { env }),
      postern(['config', 'print', '--json'], { env }),
    ]);

    expect(text.code).toBe(0);
    for (const setting of ['smtp.maxMessageBytes', 'smtp.bareNewlines', 'redis.durability', 'delivery.concurrency'])
      expect(text.stdout).toContain(setting);
    expect(text.stdout).toMatch(/smtp\.maxMessageBytes .*123456/);
    const settings = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(settings['smtp.maxMessageBytes']).toBe(123_456);
    expect(JSON.stringify(settings['relay.url'])).toContain('relay.example.com:587');
    expect(text.stdout + text.stderr + json.stdout + json.stderr).not.toMatch(SECRET);
  });

  it('takes the file before the defaults, and the environment before the file', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'postern.yml');
    const secretFile = join(folder, 'redis-url');
    writeFileSync(file, 'http:\n  port: 1234\nsmtp:\n  maxRecipients: 7\n  securePort: off\n');
    writeFileSync(secretFile, 'redis://from-file.example.com:6379\n');
    const env = { POSTERN_CONFIG: file, POSTERN_HTTP_PORT: '4321', POSTERN_REDIS_URL_FILE: secretFile };

    const { stdout } = await postern(['config', 'print', '--json'], { env });

    const settings = JSON.parse(stdout) as Record<string, unknown>;
    expect(settings).toMatchObject({
      ...{ 'http.port': 4321, 'smtp.maxRecipients': 7, 'smtp.securePort': 'off', 'smtp.port': 2525 },
      'redis.url': 'redis://from-file.example.com:6379',
    });
  });
});

let server: ReadyPostern;
beforeAll(async () => {
  server = await startPostern();
});

describe('postern send', () => {
  let fixed: Record<string, string>;
  beforeAll(() => {
    fixed = { POSTERN_SMTP_PORT: String(server.smtp), POSTERN_API_KEY: server.key() };
  });

  it('sends a test mail through the running server and prints its queue id', async () => {
    const options = ['send', '--to', 'you@example.com', '--from', 'app@example.com', '--subject', 'a test'];
    const [text, json] = await Promise.all([
      server.run(options, { env: fixed }),
      server.run([...options, '--json'], { env: fixed }),
    ]);

    expect(text).toMatchObject({ code: 0, stdout: expect.stringMatching(/queued as [\w-]{22}\n$/) as string });
    const { id } = JSON.parse(json.stdout) as { id: string };
    const shown = await server.json<{ subject: string; from: string }>(['messages', 'show', id]);
    expect(shown).toMatchObject({ subject: 'a test', from: 'app@example.com' });
    expect(text.stdout + text.stderr + json.stdout + json.stderr).not.toContain(server.key());
  });

  it('may read the key from a file', async () => {
    const file = join(temporaryFolder(), 'key');
    writeFileSync(file, `${server.key()}\n`);
    const env = { POSTERN_SMTP_PORT: String(server.smtp), POSTERN_API_KEY_FILE: file };

    expect((await server.run(['send', '--to', 'you@example.com'], { env })).code).toBe(0);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['without a key', { POSTERN_API_KEY: '' }, /POSTERN_API_KEY/],
    ['with a wrong key', { POSTERN_API_KEY: KEY_LIKE }, /Authentication failed/],
    ['when no server is there', { POSTERN_SMTP_PORT: '1' }, /127\.0\.0\.1:1|ECONNREFUSED/],
    ['when no port is set', { POSTERN_SMTP_PORT: 'off', POSTERN_SMTP_SECURE_PORT: 'off' }, /smtp\.port/],
  ])('fails %s and says so', async (_when, env, message) => {
    const { code, stdout, stderr } = await server.run(['send', '--to', 'you@example.com'], {
      env: { ...fixed, ...env },
    });

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('b'.repeat(42));
  });
});

describe('a command whose reader goes away', () => {
  it('ends without a complaint', async () => {
    const id = await submitOnce(server.smtp, server.key(), { data: `\r\n${'line of text\r\n'.repeat(50_000)}` });
    const script = `"$0" messages show ${id} --raw | head -c 10 >/dev/null`;
    const { code, stderr } = await execute('sh', ['-c', script, POSTERN], { env: server.env });

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
