// A folder of certificates is taken whole or not at all, and what is wrong with it is said with the file's name.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCertificateFolder } from '../../src/base/certificate-folder.js';
import { contextFor, makeContexts } from '../../src/base/certificate-set.js';
import { Certbot } from '../support/certbot.js';
import { makeCertificate } from '../support/certificate.js';

const NOW = Date.now();
const DAY_MS = 86_400_000;
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-certificates-'));
  folders.push(folder);
  return folder;
}

const inDays = (days: number) => ({
  notBeforeDate: new Date(NOW - 90 * DAY_MS),
  notAfterDate: new Date(NOW + days * DAY_MS),
});
const read = (folder: string) => readCertificateFolder(folder, NOW);

describe('a folder as certbot keeps it', () => {
  test('gives each certificate the names of its subjectAltName, in small letters', async () => {
    const certbot = new Certbot(temporary());
    certbot.put('one', await makeCertificate('One.Test', { names: ['*.one.test'] }));
    mkdirSync(join(certbot.live, '.hidden'));
    mkdirSync(join(certbot.live, 'empty'));

    const { named, remarks } = read(certbot.live);

    expect(named.map(({ names }) => names)).toEqual([['one.test', '*.one.test']]);
    expect(remarks).toEqual([]);
  });

  test('gives a name that two certificates have to the one that is valid longer, and says so', async () => {
    const certbot = new Certbot(temporary());
    certbot.put('a', await makeCertificate('shared.test', inDays(10)));
    certbot.put('b', await makeCertificate('shared.test', { names: ['own.test'], ...inDays(80) }));

    const { named, remarks } = read(certbot.live);

    expect(named.map(({ names }) => names)).toEqual([['shared.test', 'own.test'], []]);
    expect(remarks).toEqual([expect.stringMatching(/shared\.test is in \S+\/b\/\S+ and in \S+\/a\/.*valid longer/)]);
  });

  test('takes a certificate whose time is over, and says so', async () => {
    const certbot = new Certbot(temporary());
    certbot.put('old', await makeCertificate('old.test', inDays(-1)));

    const { named, remarks } = read(certbot.live);

    expect(named).toHaveLength(1);
    expect(remarks).toEqual([expect.stringMatching(/the certificate in \S+\/old\/fullchain\.pem expired on /)]);
  });
});

describe('is refused, with the file and the fault:', () => {
  const faults: Record<string, (certbot: Certbot) => Promise<RegExp>> = {
    'a certificate with the key of another': async (certbot) => {
      const [one, two] = [await makeCertificate('one.test'), await makeCertificate('two.test')];
      certbot.put('one', { cert: one.cert, key: two.key });
      return /tls\.certificates: the key in \S+one\/privkey\.pem is not that of .*one\/fullchain\.pem/;
    },
    'an empty certificate': async (certbot) => {
      certbot.put('one', { ...(await makeCertificate('one.test')), cert: '' });
      return /one\/fullchain\.pem is not a PEM certificate/;
    },
    'an empty key': async (certbot) => {
      certbot.put('one', { ...(await makeCertificate('one.test')), key: '' });
      return /one\/privkey\.pem is not a PEM private key/;
    },
    'a certificate without a key': async (certbot) => {
      unlinkSync(join(certbot.put('one', await makeCertificate('one.test')), 'privkey.pem'));
      return /cannot read \S+one\/privkey\.pem \(ENOENT\)/;
    },
    'links that lead nowhere': (certbot) => {
      mkdirSync(join(certbot.live, 'one'));
      for (const name of ['fullchain.pem', 'privkey.pem']) symlinkSync('../gone', join(certbot.live, 'one', name));
      return Promise.resolve(/cannot read \S+one\/fullchain\.pem \(ENOENT\)/);
    },
    'a certificate for no host': async (certbot) => {
      certbot.put('one', await makeCertificate('no host'));
      return /one\/fullchain\.pem names no host/;
    },
    'a folder without a pair': () =>
      Promise.resolve(/no pair in \S+live; expected NAME\/fullchain\.pem and NAME\/privkey\.pem/),
  };

  test.each(Object.entries(faults))('%s', async (_name, make) => {
    const certbot = new Certbot(temporary());
    const fault = await make(certbot);
    expect(() => read(certbot.live)).toThrow(fault);
  });

  test('no folder, and a file in its place', () => {
    expect(() => read('/nowhere/live')).toThrow('tls.certificates: cannot read /nowhere/live (no such folder)');
    const file = join(temporary(), 'file');
    writeFileSync(file, '');
    expect(() => read(file)).toThrow(/cannot read \S+file \(not a folder\)/);
  });

  test('every pair that is wrong, at once, although another is right', async () => {
    const certbot = new Certbot(temporary());
    certbot.put('good', await makeCertificate('good.test'));
    certbot.put('bad', { ...(await makeCertificate('bad.test')), cert: '' });
    certbot.put('worse', { ...(await makeCertificate('worse.test')), key: '' });
    expect(() => read(certbot.live)).toThrow(/bad\/fullchain\.pem[\s\S]*worse\/privkey\.pem/);
  });
});

test('a name has its own context, else that of a wildcard for one label, else that of everybody', async () => {
  const certbot = new Certbot(temporary());
  certbot.put('one', await makeCertificate('*.one.test'));
  certbot.put('exact', await makeCertificate('exact.one.test', { names: ['*.deep.one.test'] }));
  const { named } = read(certbot.live);
  const contexts = makeContexts({ pair: await makeCertificate('default.test'), named }, Buffer.alloc(48));
  const keyOf = (name: string) => [...contexts].find(([, context]) => context === contextFor(contexts, name))?.[0];

  expect(keyOf('mail.one.test')).toBe('*.one.test');
  expect(keyOf('MAIL.One.Test')).toBe('*.one.test');
  expect(contextFor(contexts, 'exact.one.test')).toBe(contexts.get('exact.one.test'));
  expect(contextFor(contexts, 'a.deep.one.test')).toBe(contexts.get('*.deep.one.test'));
  for (const name of ['one.test', 'a.b.one.test', 'one', '', '*', '.one.test', 'other.test']) {
    expect([name, contextFor(contexts, name) === contexts.get('*')]).toEqual([name, true]);
  }
});
