// Certificates for further names (SNI): each client is shown the one for the name that it asks for, at both ports;
// renewals are taken in whole, cut no session, and never weaken TLS.
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { messageOf } from '../../src/base/fault.js';
import { execute, postern } from '../support/built-command.js';
import { attempt, logIn } from '../support/built-mail.js';
import { startPostern, temporaryFolder, type ReadyPostern } from '../support/built-server.js';
import { Certbot } from '../support/certbot.js';
import { makeCertificate } from '../support/certificate.js';
import { until } from '../support/until.js';

let certbot: Certbot;
let server: ReadyPostern;
const env = () => ({ POSTERN_TLS_CERTIFICATES: certbot.live, POSTERN_HOSTNAME: 'default.test', POSTERN_WORKERS: '2' });

beforeAll(async () => {
  certbot = new Certbot(temporaryFolder());
  certbot.put('one.test', await makeCertificate('one.test', { names: ['also.test'] }));
  certbot.put('two.test', await makeCertificate('*.two.test'));
  server = await startPostern({ env: env() });
});

/** A handshake with the TLS port; what `look` sees when it is over. */
function handshake<T>(options: ConnectionOptions, look: (socket: TLSSocket) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: server.smtps, rejectUnauthorized: false, ...options });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(look(socket));
      socket.destroy();
    });
  });
}

/** What becomes of a client that wants a second handshake on its connection. */
function renegotiate(servername: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: server.smtps, rejectUnauthorized: false, servername };
    const socket = connect({ ...options, maxVersion: 'TLSv1.2' });
    socket.on('error', (error: Error) => resolve(error.message));
    socket.once('secureConnect', () =>
      socket.renegotiate({ rejectUnauthorized: false }, (error: unknown) => {
        resolve(error ? messageOf(error) : 'renegotiated');
        socket.destroy();
      }),
    );
  });
}

const nameOf = (socket: TLSSocket): string | undefined =>
  new X509Certificate(socket.getPeerCertificate().raw).subject.replace('CN=', '');
const nameShown = (servername?: string) => handshake({ servername }, nameOf);

/** openssl s_client on the port for STARTTLS. */
async function overStartTls(servername: string, ...more: string[]) {
  const target = ['-connect', `127.0.0.1:${server.smtp}`, '-starttls', 'smtp'];
  const { stdout } = await execute('openssl', ['s_client', ...target, '-servername', servername, ...more], {
    input: 'QUIT\r\n',
  });
  return { subject: /^subject=CN ?= ?(.*)$/m.exec(stdout)?.[1], cipher: /Cipher is (\S+)/.exec(stdout)?.[1] };
}

const rows = [
  ['one.test', 'one.test'],
  ['ONE.test', 'one.test'],
  ['also.test', 'one.test'],
  ['mail.two.test', '*.two.test'],
  ['a.mail.two.test', 'default.test'],
  ['two.test', 'default.test'],
  ['other.test', 'default.test'],
] as const;

describe('a client is shown', () => {
  it.each(rows)('for %s the certificate of %s, over TLS', async (asked, expected) => {
    expect(await nameShown(asked)).toBe(expected);
  });

  it('the one of everybody when it names none', async () => {
    expect(await nameShown()).toBe('default.test');
  });

  it.each(rows.slice(2, 5))('for %s the certificate of %s, over STARTTLS', async (asked, expected) => {
    expect(await overStartTls(asked)).toMatchObject({ subject: expected });
  });
});

describe('for every name', () => {
  const names = ['one.test', 'mail.two.test', 'other.test'];

  it.each(names)('TLS is at least 1.2 and has forward secrecy: %s', async (servername) => {
    const old = { servername, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    await expect(handshake(old, nameOf)).rejects.toThrow(/alert|version/i);
    const weak = { servername, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256' } as const;
    await expect(handshake(weak, nameOf)).rejects.toThrow(/alert|handshake/i);
    expect((await overStartTls(servername, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')).cipher).toBe('(NONE)');
    expect((await overStartTls(servername, '-tls1_2')).cipher).toMatch(/^ECDHE-ECDSA-/);
    expect(await handshake({ servername }, (socket) => socket.getProtocol())).toBe('TLSv1.3');
    expect(await renegotiate(servername)).toMatch(/no renegotiation/i);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a session of %s is resumed, and shows nobody another name',
    async (version) => {
      const sessionOf = (servername: string) =>
        new Promise<Buffer>((resolve, reject) => {
          const options = { host: '127.0.0.1', port: server.smtps, rejectUnauthorized: false, servername };
          const socket = connect({ ...options, minVersion: version, maxVersion: version });
          socket.once('error', reject);
          socket.once('session', (session) => {
            resolve(session);
            socket.destroy();
          });
        });
      const session = await sessionOf('one.test');
      const seen = (socket: TLSSocket) => [socket.isSessionReused(), socket.getPeerCertificate().subject?.CN];

      // Resumed, no certificate is sent at all (RFC 5246 7.3, 8446 2.2).
      expect(await handshake({ servername: 'one.test', session, maxVersion: version }, seen)).toEqual([
        true,
        undefined,
      ]);
      for (const [asked, expected] of rows) expect([asked, await nameShown(asked)]).toEqual([asked, expected]);
    },
  );
});

describe('the folder is read again', () => {
  it('when a name is added or renewed; sessions that are open go on', async () => {
    const open = await logIn(server.smtps, server.key(), { tls: { servername: 'one.test' } });
    const before = await handshake({ servername: 'one.test' }, (socket) => socket.getPeerCertificate().fingerprint256);

    certbot.put('three.test', await makeCertificate('three.test'));
    certbot.put('one.test', await makeCertificate('one.test'));

    await until('the new names, at every worker', async () => {
      const names = await Promise.all(Array.from({ length: 6 }, () => nameShown('three.test')));
      return names.every((name) => name === 'three.test');
    });
    const after = await handshake({ servername: 'one.test' }, (socket) => socket.getPeerCertificate().fingerprint256);
    expect(after).not.toBe(before);
    expect(await nameShown('also.test')).toBe('default.test');
    expect(await attempt(open)).toMatch(/^250 2\.6\.0 /);
    await open.close();
  });

  it('for a new name too, when only that one is renewed', async () => {
    certbot.put('three.test', await makeCertificate('three.test', { names: ['four.test'] }));
    await until('the new name', async () => (await nameShown('four.test')) === 'three.test');
  });

  it('and one pair that is not usable changes nothing, on SIGHUP too', async () => {
    const [good, bad] = [await makeCertificate('five.test'), await makeCertificate('six.test')];
    certbot.put('five.test', { cert: good.cert, key: bad.key });
    certbot.put('one.test', await makeCertificate('seven.test'));
    server.signal('SIGHUP');

    await until('the complaint', () => /not usable[\s\S]*five\.test/.test(server.stderr()));
    expect([await nameShown('one.test'), await nameShown('seven.test')]).toEqual(['one.test', 'default.test']);
    expect(server.stderr()).not.toContain('PRIVATE KEY');

    const says = /tls\.certificates: the key in \S+five\.test\/privkey\.pem is not that of the certificate/;
    await expect(startPostern({ env: env() })).rejects.toThrow(says);
    const checked = await postern(['config', 'check'], { env: env() });
    expect([checked.code, checked.stderr]).toEqual([1, expect.stringMatching(says)]);

    certbot.put('five.test', good);
    await until('the new set', async () => (await nameShown('five.test')) === 'five.test');
    expect(await nameShown('seven.test')).toBe('seven.test');
    expect((await postern(['config', 'check'], { env: env() })).code).toBe(0);
  });
});

it('a certificate whose time is over is shown, and the log and config check say so', async () => {
  const own = new Certbot(temporaryFolder());
  const dates = { notBeforeDate: new Date('2020-01-01'), notAfterDate: new Date('2021-01-01') };
  own.put('late.test', await makeCertificate('late.test', dates));
  const { code, stderr } = await postern(['config', 'check'], { env: { POSTERN_TLS_CERTIFICATES: own.live } });
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^warning: .*late\.test\/fullchain\.pem expired on /)]);
  const refused = await postern(['config', 'check'], { env: { POSTERN_TLS_CERTIFICATES: join(own.live, 'none') } });
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/none \(no such folder\)/)]);
});
