// The way down: a signal lets what is under way finish, tells everybody else, and leaves no process behind; a second
// signal does not wait.
import { ask } from '../support/contract.js';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { logIn, queueId } from '../support/built-mail.js';
import { startPostern, type Postern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { startNextHop } from '../support/next-hop.js';
import { until } from '../support/until.js';

/** A session that has begun to send a message. */
async function inData(server: ReadyPostern): Promise<Dialogue> {
  const dialogue = await logIn(server.smtp, server.key());
  for (const line of ['MAIL FROM:<app@example.com>', 'RCPT TO:<you@example.com>', 'DATA']) await dialogue.line(line);
  dialogue.send('Subject: half\r\n\r\nfirst half\r\n');
  return dialogue;
}

const stopsListening = (port: number) =>
  until('the port is closed', async () => {
    try {
      await (await openDialogue(port)).close();
      return false;
    } catch {
      return true;
    }
  });

const nothingLeft = (server: Postern) => until('no process is left', () => server.processes().length === 0);

describe.each<[NodeJS.Signals, string]>([
  ['SIGTERM', 'as a service manager sends it'],
  ['SIGINT', 'as Ctrl-C sends it, to every process of the group'],
])('%s, %s', (signal) => {
  it('lets a message that is being sent be accepted, tells idle sessions, and ends with 0', async () => {
    const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
    const sending = await inData(server);
    const idle = await logIn(server.smtp, server.key());

    if (signal === 'SIGINT') process.kill(-server.pid, signal);
    else server.signal(signal);

    expect(await idle.reply()).toMatch(/^421 4\.3\.2 /);
    await idle.closed;
    await stopsListening(server.smtp);
    expect((await ask(server.http, '/readyz').catch(() => ({ status: 0 }))).status).not.toBe(200);
    sending.send('second half\r\n.\r\n');
    const id = queueId(await sending.reply());
    await sending.closed;
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.processes()).toEqual([]);
    expect(existsSync(join(server.dataDir, 'redis', 'redis.sock'))).toBe(false);

    const again = await startPostern({ dataDir: server.dataDir });
    const { stdout } = await again.run(['messages', 'show', id, '--raw']);
    expect(stdout).toMatch(/first half\r\nsecond half\r\n$/);
  });
});

describe('a stop', () => {
  it('does not wait for ever for a message that does not end', async () => {
    const server = await startPostern({ env: { POSTERN_DRAIN_SECONDS: '1' } });
    const sending = await inData(server);

    expect(await server.stop()).toBe(0);

    await sending.closed;
    expect(server.processes()).toEqual([]);
  });

  it('is not waited for after a second signal', async () => {
    const server = await startPostern({ env: { POSTERN_DRAIN_SECONDS: '600' } });
    const sending = await inData(server);
    server.signal('SIGTERM');
    await stopsListening(server.smtp);

    server.signal('SIGTERM');

    await sending.closed;
    await server.exited;
    await nothingLeft(server);
  });

  it('waits for a message that is being relayed, and does not send it twice', async () => {
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const hop = await startNextHop({
      script: ({ stage }) => (stage === 'message' ? { waitFor: held } : undefined),
    });
    try {
      const server = await startPostern({ env: { POSTERN_RELAY_URL: hop.url } });
      const dialogue = await logIn(server.smtp, server.key());
      await dialogue.line('MAIL FROM:<app@example.com>');
      await dialogue.line('RCPT TO:<you@example.com>');
      await dialogue.line('DATA');
      const id = queueId(await dialogue.line('Subject: x\r\n\r\nx\r\n.'));
      await dialogue.close();
      await until('the relay is under way', () => hop.connections > 0);

      server.signal('SIGTERM');
      await stopsListening(server.smtp);
      goOn();

      expect(await server.exited).toEqual({ code: 0, signal: null });
      const again = await startPostern({ dataDir: server.dataDir, env: { POSTERN_RELAY_URL: hop.url } });
      expect((await again.json<{ status: string }>(['messages', 'show', id])).status).toBe('delivered');
      expect(hop.messages).toHaveLength(1);
    } finally {
      await hop.stop();
    }
  });
});

describe('SIGHUP', () => {
  it('does not end the server', async () => {
    const server = await startPostern();
    server.signal('SIGHUP');
    await until('the certificate is read again', () => /certificate/.test(server.stderr()));

    const dialogue = await openDialogue(server.smtps, { tls: true });
    expect(dialogue.greeting).toMatch(/^220 /);
    await dialogue.close();
  });
});

describe('npm start', () => {
  it('is told to stop like the server itself, and ends with it', async () => {
    const server = await startPostern({ throughNpm: true });

    expect(await server.stop('SIGTERM')).toBe(0);
    expect(server.processes()).toEqual([]);
  });
});
