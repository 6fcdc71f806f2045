// The certificate of TLS: the configured files, read again when they change and on SIGHUP; a pair that does not work
// never takes the place of one that does, and no session is cut.
import { X509Certificate } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { attempt, logIn } from '../support/built-mail.js';
import { startPostern, temporaryFolder, type ReadyPostern } from '../support/built-server.js';
import { makeCertificate } from '../support/certificate.js';
import { openDialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';

/** The certificate that a new connection is shown. */
function shown(port: number): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const nameShown = async (port: number) => (await shown(port)).subject.replace('CN=', '');

describe('configured files', () => {
  const folder = temporaryFolder();
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  let server: ReadyPostern;

  /** As programs that renew certificates do it: each file is replaced in one step. */
  function put(pair: { cert: string; key: string }): void {
    for (const [file, text] of [
      [key, pair.key],
      [cert, pair.cert],
    ] as const) {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    }
  }

  beforeAll(async () => {
    put(await makeCertificate('first.test'));
    server = await startPostern({ env: { POSTERN_TLS_CERT: cert, POSTERN_TLS_KEY: key, POSTERN_WORKERS: '2' } });
  });

  it('are used by implicit TLS and by STARTTLS', async () => {
    expect(await nameShown(server.smtps)).toBe('first.test');
    const dialogue = await openDialogue(server.smtp);
    await dialogue.ehlo();
    const { cert: first } = { cert: await shown(server.smtps) };
    expect(
      await dialogue.startTls({ rejectUnauthorized: true, ca: first.toString(), servername: 'first.test' }),
    ).toMatch(/^220 /);
    expect(await dialogue.ehlo()).toContain('AUTH PLAIN LOGIN');
    await dialogue.close();
  });

  it('are read again when they change, and sessions that are open go on', async () => {
    const open = await logIn(server.smtps, server.key(), { tls: true });

    put(await makeCertificate('second.test'));

    await until('the new certificate, of every worker', async () => {
      const names = await Promise.all(Array.from({ length: 6 }, () => nameShown(server.smtps)));
      return names.every((name) => name === 'second.test');
    });
    expect(await attempt(open)).toMatch(/^250 2\.6\.0 /);
    await open.close();
  });

  it('that no longer fit leave the old pair in force, on SIGHUP too, and say so', async () => {
    const current = await nameShown(server.smtps);
    const [one, two] = [await makeCertificate('broken.test'), await makeCertificate('other.test')];
    put({ cert: one.cert, key: two.key });
    server.signal('SIGHUP');

    await until('the complaint', () => /certificate is not usable/.test(server.stderr()));
    expect(await nameShown(server.smtps)).toBe(current);

    put(await makeCertificate('third.test'));
    server.signal('SIGHUP');
    await until('the new certificate', async () => (await nameShown(server.smtps)) === 'third.test');
    expect(server.stderr()).not.toContain('PRIVATE KEY');
  });
});

describe('a certificate of our own making', () => {
  it('is ECDSA P-256, for the name of the server, and is kept', async () => {
    const env = { POSTERN_HOSTNAME: 'mail.made.test' };
    const first = await startPostern({ env });
    const made = await shown(first.smtps);
    expect(made.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(made.checkHost('mail.made.test')).toBe('mail.made.test');
    expect(made.checkIP('127.0.0.1')).toBe('127.0.0.1');
    await first.killAll();

    const second = await startPostern({ env, dataDir: first.dataDir });
    expect((await shown(second.smtps)).fingerprint256).toBe(made.fingerprint256);
  });
});

describe('TLS', () => {
  it('is at least 1.2, and is resumed by any worker', async () => {
    const server = await startPostern({ env: { POSTERN_WORKERS: '2' } });
    const options = { host: '127.0.0.1', port: server.smtps, rejectUnauthorized: false };
    const old = new Promise<string>((resolve) => {
      const socket = connect({ ...options, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' });
      socket.on('secureConnect', () => resolve('connected'));
      socket.on('error', () => resolve('refused'));
    });
    expect(await old).toBe('refused');

    let ticket: Buffer | undefined;
    const resumed = () =>
      new Promise<boolean>((resolve, reject) => {
        const socket = connect({ ...options, session: ticket, maxVersion: 'TLSv1.2' });
        socket.on('session', (session) => (ticket = session));
        socket.on('error', reject);
        socket.on('secureConnect', () => {
          resolve(socket.isSessionReused());
          socket.end();
        });
      });
    expect(await resumed()).toBe(false);
    expect(await Promise.all(Array.from({ length: 8 }, resumed))).toEqual(Array(8).fill(true));
  });
});
