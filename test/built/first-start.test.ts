// What somebody sees who has just started Postern, and starts it again: a key and lines that work when they are
// pasted, then one line that says that every listener is up.
import { ask } from '../support/contract.js';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execute, postern } from '../support/built-command.js';
import { attempt, logIn, queueId, submitOnce } from '../support/built-mail.js';
import { KEY, startPostern, temporaryFolder, type ReadyPostern } from '../support/built-server.js';
import { closedPort } from '../support/built-port.js';
import { openDialogue } from '../support/dialogue.js';
import { startNextHop } from '../support/next-hop.js';

/** The lines of the welcome from the one with `word` to the next empty line. */
function pasted(stdout: string, word: string): string {
  const paragraph = stdout.split(/\n\s*\n/).find((each) => each.includes(word));
  if (paragraph === undefined) throw new Error(`no line with ${word} in: ${stdout}`);
  return paragraph;
}

/** As a person does it: the text goes into a shell. */
function paste(text: string) {
  return execute('sh', [], { input: `${text}\n` });
}

const messageIds = async (server: ReadyPostern) =>
  (await server.json<{ result: { id: string }[] }>(['messages', 'list'])).result.map(({ id }) => id);

describe('a first start', () => {
  let server: ReadyPostern;
  beforeAll(async () => {
    server = await startPostern();
  });

  it('prints a key, a swaks line, a curl line and last that it is ready', () => {
    const lines = server.stdout().trimEnd().split('\n');
    const at = (pattern: RegExp) => lines.findIndex((line) => pattern.test(line));

    expect(lines.at(-1)).toMatch(/^ready smtp=127\.0\.0\.1:\d+ smtps=127\.0\.0\.1:\d+ http=127\.0\.0\.1:\d+$/);
    expect(at(KEY)).toBeGreaterThanOrEqual(0);
    expect(at(/\bswaks /)).toBeGreaterThan(at(KEY));
    expect(at(/\bcurl /)).toBeGreaterThan(at(KEY));
    expect(at(/^ready /)).toBe(lines.length - 1);
  });

  it('makes one key, named and with full access', async () => {
    expect(new Set(server.stdout().match(new RegExp(KEY, 'g'))).size).toBe(1);
    const { result } = await server.json<{ result: object[] }>(['keys', 'list']);
    expect(result).toEqual([expect.objectContaining({ api_key_id: KEY.exec(server.key())![1], state: 'active' })]);
  });

  it('says that mail is captured when there is no relay', () => {
    expect(server.stdout() + server.stderr()).toMatch(/captured/);
  });

  it('prints a swaks line that sends a mail when it is pasted', async () => {
    const { code, stdout, stderr } = await paste(pasted(server.stdout(), 'swaks '));

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await messageIds(server)).toContain(queueId(stdout));
  });

  it('prints a curl line that sends a mail when it is pasted', async () => {
    const before = await messageIds(server);

    const { code, stderr } = await paste(pasted(server.stdout(), 'curl '));

    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) as string });
    const after = await messageIds(server);
    expect(after).toHaveLength(before.length + 1);
    const { stdout } = await server.run(['messages', 'show', after[0]!, '--raw']);
    expect(stdout).toMatch(/^Received: /);
    expect(stdout).toMatch(/\r\nSubject: .*\r\n\r\n/s);
  });

  it('keeps its data where nobody else can read it', () => {
    const mode = (...path: string[]) => statSync(join(server.dataDir, ...path)).mode & 0o777;

    expect(mode()).toBe(0o700);
    expect(mode('pepper')).toBe(0o600);
    expect(mode('tls', 'key.pem')).toBe(0o600);
  });
});

describe('a start', () => {
  it('says that it is ready when every listener of every worker is up, and not before', async () => {
    const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
    // At once, and often enough that both workers are met.
    const greetings = Array.from({ length: 8 }, async (_each, at) => {
      const dialogue = await openDialogue(at % 2 ? server.smtps : server.smtp, at % 2 ? { tls: true } : {});
      await dialogue.close();
      return dialogue.greeting;
    });

    expect(await Promise.all(greetings)).toEqual(Array(8).fill(expect.stringMatching(/^220 \S+ ESMTP Postern$/)));
    expect(await ask(server.http, '/readyz').then(({ status }) => status)).toBe(200);
  });

  it('works with implicit TLS alone, with lines to paste that fit', async () => {
    const server = await startPostern({ env: { POSTERN_SMTP_PORT: 'off' } });

    expect(server.ready).toMatch(/^ready smtps=\S+ http=\S+$/);
    for (const word of ['swaks ', 'curl ']) {
      const { code, stderr } = await paste(pasted(server.stdout(), word));
      expect({ word, code, stderr }).toEqual({ word, code: 0, stderr: expect.any(String) as string });
    }
    expect(await messageIds(server)).toHaveLength(2);
  });

  it('prints the addresses as a JSON object with --json, and nothing else once there is a key', async () => {
    const first = await startPostern({ args: ['--json'] });
    const address = expect.stringMatching(/^127\.0\.0\.1:\d+$/) as unknown;
    const addresses = { smtp: address, smtps: address, http: address };
    expect(JSON.parse(first.stdout())).toEqual(expect.objectContaining(addresses));
    expect(first.stdout().trimEnd().split('\n')).toHaveLength(1);
    const key = first.key();
    await first.stop();

    const second = await startPostern({ args: ['--json'], dataDir: first.dataDir });
    expect(JSON.parse(second.stdout())).toEqual(addresses);
    expect(await submitOnce(second.smtp, key)).toHaveLength(22);
  });

  it('uses ./data where no folder is set', async () => {
    const cwd = temporaryFolder();
    const { code, stdout } = await postern(['keys', 'create', '--name', 'here'], { cwd });

    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(KEY) as string });
    expect(existsSync(join(cwd, 'data', 'redis'))).toBe(true);
  });
});

describe('a second start', () => {
  it('makes no new key, takes the earlier one, and finds earlier mail', async () => {
    const first = await startPostern();
    const key = first.key();
    const id = await submitOnce(first.smtp, key);
    expect(await first.stop()).toBe(0);

    const second = await startPostern({ dataDir: first.dataDir });
    expect(second.stdout()).toBe(`${second.ready}\n`);
    expect(await messageIds(second)).toEqual([id]);
    const dialogue = await logIn(second.smtp, key);
    expect(await attempt(dialogue)).toMatch(/^250 2\.6\.0 Ok: queued as [\w-]{22}$/);
    await dialogue.close();
  });

  it('sends what was queued before, once it can', async () => {
    const env = {
      POSTERN_RELAY_URL: `smtp://127.0.0.1:${await closedPort()}`,
      POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1',
    };
    const first = await startPostern({ env });
    const id = await submitOnce(first.smtp, first.key(), { to: 'later@example.com' });
    expect(await first.stop()).toBe(0);

    const hop = await startNextHop();
    try {
      const second = await startPostern({ dataDir: first.dataDir, env: { ...env, POSTERN_RELAY_URL: hop.url } });
      expect(await messageIds(second)).toEqual([id]);
      const [arrived] = await hop.waitForMessages(1);
      expect(arrived!.recipients).toEqual(['later@example.com']);
    } finally {
      await hop.stop();
    }
  });
});
