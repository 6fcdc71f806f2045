// postern sessions beside a running server: why a client could not log in, for people and for programs, and no secret.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { submit } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';

interface Session {
  id: string;
  api_key_id: string | null;
  ehlo: string;
  login: string;
  failed: boolean;
  tls: string | null;
  reason: string | null;
  lines: { at: number; text: string }[];
}

let server: ReadyPostern;
let key: { api_key: string; api_key_id: string };
let revoked: typeof key;
let sessions: Session[];

const create = (name: string) => server.json<typeof key>(['keys', 'create', '--name', name]);
const list = async (...options: string[]) =>
  (await server.json<{ result: Session[] }>(['sessions', 'list', ...options])).result;

async function say(ehlo: string, words: (dialogue: Dialogue) => Promise<unknown>): Promise<void> {
  const dialogue = await openDialogue(server.smtp);
  await dialogue.ehlo(ehlo);
  await words(dialogue);
  await dialogue.line('QUIT');
  await dialogue.close();
}

beforeAll(async () => {
  server = await startPostern();
  [key, revoked] = [await create('good'), await create('bad')];
  await server.run(['keys', 'revoke', revoked.api_key_id]);
  await say('name.test', (dialogue) => dialogue.authLogin('postmaster', key.api_key));
  await say('cut.test', (dialogue) => dialogue.authPlain('apikey', `${key.api_key}\n`));
  await say('revoked.test', (dialogue) => dialogue.authPlain('apikey', revoked.api_key));
  await say('good.test', async (dialogue) => {
    await dialogue.startTls();
    await dialogue.ehlo('good.test');
    await dialogue.authPlain('apikey', key.api_key);
    await submit(dialogue, { data: 'Subject: private words\r\n\r\nprivate words\r\n' });
  });
  sessions = await until(
    'four sessions',
    async () => {
      const found = await list();
      return found.length === 4 && found;
    },
    30_000,
  );
});

async function show(ehlo: string): Promise<Session & { text: string }> {
  const { id } = sessions.find((session) => session.ehlo === ehlo)!;
  const shown = await server.json<Session>(['sessions', 'show', id]);
  return { ...shown, text: shown.lines.map(({ text }) => text).join('\n') };
}

test('list finds sessions by key, by address and by failure', async () => {
  const names = (found: Session[]) => found.map(({ ehlo }) => ehlo).sort();
  expect(names(await list('--key', key.api_key_id))).toEqual(['good.test']);
  expect(names(await list('--key', revoked.api_key_id))).toEqual(['revoked.test']);
  const failed = ['cut.test', 'name.test', 'revoked.test'];
  expect(names(await list('--failed'))).toEqual(failed);
  expect(names(await list('--ip', '127.0.0.1'))).toEqual(failed);
  expect(await list('--limit', '1')).toHaveLength(1);
  const { stdout } = await server.run(['sessions', 'list', '--failed']);
  expect(stdout).toMatch(/ bad-username /);
});

test('show tells what is wrong with a user name, a password and a key', async () => {
  const name = await show('name.test');
  expect(name).toMatchObject({ login: 'bad-username', reason: 'the user name must be exactly apikey' });
  expect(name.text).toContain('C: AUTH LOGIN\n');
  expect(name.text).toContain(
    'C: [redacted]\n-- user name: not exactly apikey, 10 characters\n-- password: 69 characters',
  );
  expect(name.text).toMatch(/S: 535 5\.7\.8 Authentication failed: Bad username \/ password\nC: QUIT\nS: 221/);
  expect((await show('cut.test')).text).toContain('checksum wrong, with a trailing newline; without blanks and quotes');
  expect(await show('revoked.test')).toMatchObject({ login: 'revoked', api_key_id: revoked.api_key_id });
});

test('show tells of a session that went well what was said, and nothing of the message', async () => {
  const good = await show('good.test');
  expect(good).toMatchObject({ login: 'valid', failed: false, api_key_id: key.api_key_id });
  expect(good.tls).toMatch(/^TLSv1\.3 /);
  expect(good.text).toMatch(/S: 250 \S+ \(\+\d lines\)/);
  expect(good.text).toContain('C: RCPT TO:<you@example.com>\nS: 250 2.1.5 Ok\nC: DATA\n');
  expect(good.text).toMatch(/C: \[41 octets\]\nS: 250 2\.6\.0 Ok: queued as/);
  expect(JSON.stringify(good)).not.toContain('private');
  const { stdout } = await server.run(['sessions', 'show', good.id]);
  expect(stdout).toMatch(/^login {4}valid: the key is valid\n/m);
});

test('a session that is not kept, or an address that is none, is said so', async () => {
  expect(await server.run(['sessions', 'show', 'none'])).toMatchObject({ code: 1 });
  const wrong = await server.run(['sessions', 'list', '--ip', 'somewhere']);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('such as 192.0.2.7')]);
});

test('no secret is in what is shown or in what Redis has written', async () => {
  const shown = JSON.stringify(await Promise.all(sessions.map(({ ehlo }) => show(ehlo))));
  const folder = join(server.dataDir, 'redis');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const stored = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('\n');
  expect(stored).toContain('{sessions}');
  for (const { api_key: text } of [key, revoked]) {
    for (const form of [text, text.split('.')[2]!, Buffer.from(text).toString('base64').replace(/=+$/, '')]) {
      expect([shown.includes(form), stored.includes(form)]).toEqual([false, false]);
    }
  }
});
