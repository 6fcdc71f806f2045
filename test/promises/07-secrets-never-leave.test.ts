// Promise 7: no key, pepper or password in logs, errors, Redis, metrics or what settings print.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { loadConfig, maskedSettings } from '../../src/config.js';
import { ask } from '../support/contract.js';
import { openDialogue } from '../support/dialogue.js';
import { startNextHop } from '../support/next-hop.js';
import { queueId, startTestWorker, submit, type TestWorker } from '../support/worker.js';

const relayPassword = randomBytes(12).toString('hex');

/** Every file below a folder, as text. */
function filesBelow(folder: string): string {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}

/** The forms in which a secret could leak: as it is, in base64, its secret part alone, percent-encoded. */
function formsOf(secret: string): string[] {
  const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')];
  const parts = secret.split('.');
  return parts.length === 3 ? [...forms, parts[2]!] : forms;
}

async function misuse(worker: TestWorker, key: string): Promise<void> {
  const dialogue = await openDialogue(worker.port);
  await dialogue.ehlo();
  await dialogue.line(`AUTH PLAIN ${Buffer.from(`\0${key}\0${key}`).toString('base64')}`);
  await dialogue.line(`AUTH PLAIN ${key}`);
  await dialogue.line(`AUTH ${key}`);
  await dialogue.line(key);
  await dialogue.line(`EHLO ${key}`);
  await dialogue.authPlain('apikey', `${key.slice(0, -1)}${key.endsWith('A') ? 'E' : 'A'}`);
  expect(await dialogue.authLogin('apikey', key)).toMatch(/^235/);
  await dialogue.line(`MAIL FROM:<${key}@example.com>`);
  await dialogue.line(`MAIL FROM:<a@example.com> ${key}=1`);
  await dialogue.line('RSET');
  expect(await submit(dialogue, `Subject: ordinary\r\n\r\ntext\r\n`)).toMatch(/^250/);
  await dialogue.close();
}

test('a whole life of keys and mail leaves no secret anywhere but in the hands it was given to', async () => {
  const hop = await startNextHop({ auth: { user: 'relay', pass: relayPassword } });
  const url = hop.url.replace('smtp://', `smtp://relay:${relayPassword}@`);
  const worker = await startTestWorker({ env: { POSTERN_RELAY_URL: `${url}?tls=none` } });
  const { key, id } = await worker.mint();
  await misuse(worker, key);
  await hop.waitForMessages(1);
  hop.setScript(({ stage }) => (stage === 'mail' ? `550 5.7.1 you said ${key}` : undefined));
  const dialogue = await worker.logIn(key);
  await submit(dialogue, 'Subject: refused\r\n\r\n');
  await worker.log.line('message failed');
  await worker.keys.update(id, { revokedAt: Date.now() });
  await dialogue.line('MAIL FROM:<a@example.com>');
  await ask(worker.httpUrl, '/metrics', { key });
  const { text: metrics } = await ask(worker.httpUrl, `/metrics?key=${key}`);
  await ask(worker.httpUrl, `/${key}`);
  await worker.drain();
  await worker.redis.client().save();
  const settings = JSON.stringify(maskedSettings(worker.config));
  const redis = filesBelow(worker.redis.dir);
  expect(redis).toContain(id);
  const places = {
    redis,
    log: JSON.stringify(worker.log.lines),
    metrics,
    settings,
    message: hop.messages[0]!.data.toString('latin1'),
  };
  for (const [place, text] of Object.entries(places)) {
    for (const secret of [key, relayPassword]) {
      for (const form of formsOf(secret)) expect([place, form, text.includes(form)]).toEqual([place, form, false]);
    }
  }
  await worker.stop();
  await hop.stop();
});

test('a key that stands in a mail goes on as it came, and is shown nowhere, whatever the next hop says of it', async () => {
  const hop = await startNextHop();
  const worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url } });
  const { key } = await worker.mint();
  const octets = `Subject: my key is ${key}\r\n\r\n${key}\r\n`;
  const dialogue = await worker.logIn(key);
  const sent = queueId(await submit(dialogue, octets));
  expect((await hop.waitForMessages(1))[0]!.data.toString()).toContain(octets);
  await worker.log.line('message delivered', (line) => line.id === sent);
  hop.setScript(({ stage }) => (stage === 'message' ? `554 5.7.1 spam: my key is ${key}` : undefined));
  const refused = queueId(await submit(dialogue, octets));
  await worker.log.line('message failed', (line) => line.id === refused);
  await dialogue.close();
  const shown = await Promise.all(
    ['', `/${sent}`, `/${refused}`].map((path) => ask(worker.httpUrl, `/v3/messages${path}`, { key })),
  );
  const texts = [...shown.map(({ text }) => text), JSON.stringify(worker.log.lines)];
  for (const text of texts) expect(text).toContain('.[secret]');
  for (const text of texts) for (const form of formsOf(key)) expect(text.includes(form)).toBe(false);
  await worker.stop();
  await hop.stop();
});

test('a configuration that is refused names its problems without the secrets in it', () => {
  const secret = randomBytes(16).toString('hex');
  const env = {
    ...{ POSTERN_RELAY_URL: `http://user:${secret}@host`, POSTERN_REDIS_URL: `http://:${secret}@host` },
    ...{ POSTERN_KEYS_PEPPER: secret.slice(0, 20), POSTERN_SMTP_PORT: 'many' },
  };
  expect(() => loadConfig(env)).toThrow(/smtp\.port = "many"/);
  try {
    loadConfig(env);
  } catch (error) {
    expect((error as Error).message).toContain('keys.pepper');
    expect((error as Error).message).not.toContain(secret.slice(0, 20));
  }
});
