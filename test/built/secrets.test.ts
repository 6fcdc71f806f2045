// Promise 7 on the built program: after everything that a user and a careless client do, the keys, the pepper and the
// relay's password are in no log, no file of Redis, no command line, no environment of a worker and no figure.
import { ask } from '../support/contract.js';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, logIn, submit } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { makeCertificate } from '../support/certificate.js';
import { openDialogue } from '../support/dialogue.js';
import { startNextHop, type NextHop } from '../support/next-hop.js';
import { until } from '../support/until.js';

const PEPPER = 'this-is-the-pepper-of-the-test-of-secrets';
const PASSWORD = 'relay:p@ss/word';

/** Every file below a folder, as latin1 text. */
function filesBelow(folder: string): [path: string, text: string][] {
  return readdirSync(folder).flatMap((name): [string, string][] => {
    const path = join(folder, name);
    const entry = statSync(path);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [[path, readFileSync(path, 'latin1')]] : [];
  });
}

/** A secret as it is, as SASL and URLs write it, and the part of a key that makes it one. */
function spellings(secret: string): string[] {
  const base64 = (text: string) => Buffer.from(text).toString('base64').replace(/=+$/, '');
  const keyPart = secret.split('.')[2];
  return [
    secret,
    base64(secret),
    base64(`\0apikey\0${secret}`),
    encodeURIComponent(secret),
    ...(keyPart ? [keyPart] : []),
  ];
}

describe('after all that clients and users do', () => {
  let hop: NextHop;
  let server: ReadyPostern;
  let metrics: string;
  let commands = '';
  const secrets: Record<string, string> = { pepper: PEPPER, 'relay password': PASSWORD };

  beforeAll(async () => {
    hop = await startNextHop({
      tls: await makeCertificate(),
      auth: { user: 'relay', pass: PASSWORD },
      script: ({ stage, recipient }) =>
        stage === 'rcpt' && recipient?.startsWith('later') ? '450 4.2.1 come back' : undefined,
    });
    const relay = `smtp://relay:${encodeURIComponent(PASSWORD)}@127.0.0.1:${hop.port}?tls=insecure`;
    server = await startPostern({
      env: {
        POSTERN_KEYS_PEPPER: PEPPER,
        POSTERN_RELAY_URL: relay,
        POSTERN_LOG_LEVEL: 'trace',
        POSTERN_WORKERS: '2',
        POSTERN_SMTP_MAX_ERRORS: '1000',
        POSTERN_SMTP_MAX_AUTH_FAILURES: '1000',
        POSTERN_AUTH_MAX_FAILURES_PER_ADDRESS: '0',
      },
    });
    secrets['first key'] = server.key();
    const run = async (args: string[], input?: string) => {
      const { stdout, stderr } = await server.run(args, { input });
      commands += stdout + stderr;
      return stdout;
    };
    const made = JSON.parse((await server.run(['keys', 'create', '--name', 'app', '--json'])).stdout) as {
      api_key: string;
      api_key_id: string;
    };
    secrets['second key'] = made.api_key;
    secrets['mistyped key'] = `${made.api_key.slice(0, -3)}abc`;
    await mail();
    await carelessClient();
    await Promise.all([
      run(['keys', 'list']),
      run(['keys', 'show', made.api_key_id, '--json']),
      run(['keys', 'verify'], made.api_key),
      run(['keys', 'verify'], secrets['mistyped key']),
      run(['messages', 'list', '--json']),
      run(['config', 'print']),
      run(['config', 'print', '--json']),
      run(['keys', 'show', made.api_key]),
      run(['keys', 'revoke', made.api_key]),
      run(['messages', 'show', made.api_key]),
    ]);
    await run(['keys', 'update', made.api_key_id, '--name', 'renamed', '--json']);
    await run(['keys', 'revoke', made.api_key_id]);
    ({ text: metrics } = await ask(server.http, '/metrics'));
  });
  afterAll(() => hop.stop());

  async function mail(): Promise<void> {
    for (const key of [secrets['first key']!, secrets['second key']!]) {
      const dialogue = await logIn(server.smtps, key, { tls: true });
      for (const to of ['good@example.com', 'later@example.com']) await submit(dialogue, { to });
      expect(await attempt(dialogue, { to: 'not an address' })).toMatch(/^501/);
      await dialogue.close();
    }
    await hop.waitForMessages(2);
  }

  /** Puts the key wherever it does not belong, and breaks off in the middle of saying it. */
  async function carelessClient(): Promise<void> {
    const key = secrets['second key']!;
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const dialogue = await openDialogue(server.smtp);
    await dialogue.ehlo(key);
    for (const line of [
      key,
      `AUTH ${key}`,
      `AUTH PLAIN ${key}`,
      `AUTH PLAIN ${base64(`${key}\0apikey\0${key}`)}`,
      `AUTH PLAIN ${base64(`\0${key}\0${key}`)}`,
      `AUTH PLAIN ${base64(`\0apikey\0${secrets['mistyped key']!}`)}`,
      `AUTH PLAIN ${base64(`\0apikey\0${key}`)} surplus`,
      `PASS ${key}`,
      `MAIL FROM:<${key}@example.com>`,
    ])
      expect(await dialogue.line(line)).toMatch(/^[245]/);
    expect(await dialogue.authLogin('apikey', key)).toMatch(/^235/);
    for (const line of [
      `MAIL FROM:<a@example.com> AUTH=${key}`,
      `MAIL FROM:<a@b> KEY=${key}`,
      `RCPT TO:<${key}>`,
      `RSET ${key}`,
    ])
      expect(await dialogue.line(line)).toMatch(/^5/);
    dialogue.send(`AUTH LOGIN\r\n${base64('apikey')}\r\n${base64(key).slice(0, 20)}`);
    await dialogue.close();
    for (const path of ['/v3/mail/send', `/v3/api_keys/${key}`, `/?key=${key}`]) {
      const headers = { Authorization: `Bearer ${key}` };
      await ask(server.http, path, { headers });
      await ask(server.http, path, { headers, method: 'POST', body: `{"key":"${key}"` });
    }
  }

  /** The names of the secrets that a text holds. */
  const found = (text: string) =>
    Object.entries(secrets).flatMap(([name, secret]) =>
      spellings(secret).some((each) => text.includes(each)) ? [name] : [],
    );

  it('no secret is in the log', () => {
    expect(server.stderr()).toContain('message accepted');
    expect(server.stderr()).toContain('login refused');
    expect(found(server.stderr())).toEqual([]);
  });

  it('no secret is on standard output, but for the key where it was minted', () => {
    expect(found(server.stdout())).toEqual(['first key']);
  });

  it('no secret is in what commands print, but for the key where it was minted', () => {
    expect(commands).toContain('renamed');
    expect(found(commands)).toEqual([]);
  });

  it('no secret is in a figure', () => {
    expect(metrics).toContain('postern_logins_total');
    expect(found(metrics)).toEqual([]);
  });

  it('no secret is in a command line', () => {
    const processes = server.processes();

    expect(processes.length).toBeGreaterThanOrEqual(4);
    expect(processes.filter(({ commandLine }) => found(commandLine).length > 0)).toEqual([]);
  });

  it('no secret is in the environment of a worker or of Redis', () => {
    const children = server.processes().filter(({ pid }) => pid !== server.pid);

    expect(children.filter(({ environment }) => environment.includes('PATH=')).length).toBeGreaterThanOrEqual(2);
    const exposed = children.filter(({ environment }) => found(environment).length > 0);
    expect(exposed.map(({ commandLine }) => commandLine)).toEqual([]);
  });

  it('no secret is in a file of the data folder, also when Redis has written it anew', async () => {
    const before = filesBelow(server.dataDir);
    expect(before.some(([path, text]) => path.includes('appendonly') && text.includes('good@example.com'))).toBe(true);
    expect(before.filter(([, text]) => found(text).length > 0).map(([path]) => path)).toEqual([]);

    expect(await server.stop()).toBe(0);
    await until('no process is left', () => server.processes().length === 0);
    expect(
      filesBelow(server.dataDir)
        .filter(([, text]) => found(text).length > 0)
        .map(([path]) => path),
    ).toEqual([]);
  });
});

describe('a pepper that Postern made', () => {
  it('is in its own file and nowhere else', async () => {
    const server = await startPostern();
    const pepper = readFileSync(join(server.dataDir, 'pepper'), 'utf8').trim();
    const dialogue = await logIn(server.smtp, server.key());
    await submit(dialogue);
    await dialogue.close();

    const holders = filesBelow(server.dataDir).filter(([, text]) => text.includes(pepper));
    expect(holders.map(([path]) => path)).toEqual([join(server.dataDir, 'pepper')]);
    expect(server.stdout() + server.stderr()).not.toContain(pepper);
    for (const { commandLine, environment } of server.processes())
      expect(commandLine + environment).not.toContain(pepper);
  });
});
