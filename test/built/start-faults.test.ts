// What is wrong before the start is said in one sentence that names the setting, on standard error, with exit code 1,
// and nothing is left running. No secret is in the sentence.
import { symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { postern, POSTERN, type CommandResult } from '../support/built-command.js';
import { closedPort, holdPort } from '../support/built-port.js';
import { processesOf } from '../support/built-processes.js';
import { KEY, startPostern, temporaryFolder } from '../support/built-server.js';
import { submitOnce } from '../support/built-mail.js';
import { together } from '../support/built-together.js';
import { makeCertificate } from '../support/certificate.js';
import { startRedis } from '../support/redis.js';

const FREE_PORTS = { POSTERN_SMTP_PORT: '0', POSTERN_SMTP_SECURE_PORT: '0', POSTERN_HTTP_PORT: '0' };
const ALL_OFF = { POSTERN_SMTP_PORT: 'off', POSTERN_SMTP_SECURE_PORT: 'off', POSTERN_HTTP_PORT: 'off' };
const PEPPER = 'a-pepper-for-tests-that-is-long-enough';
/** No fault may show any of these. */
const SECRETS = /redis-password|relay-password|p#ss|short-pepper|PRIVATE KEY/;

interface Fault {
  env?: Record<string, string>;
  /** Written to a file that --config names. */
  config?: string;
  /** What the sentence must name. */
  says: (RegExp | string)[];
}

/** Starts the server, which must not start, in a folder of its own, and holds to what every fault has in common. */
async function fault({ env, config }: Omit<Fault, 'says'>, folder = temporaryFolder()): Promise<CommandResult> {
  const file = join(folder, 'postern.yml');
  if (config !== undefined) writeFileSync(file, config);
  const settings = { ...FREE_PORTS, POSTERN_WORKERS: '1', POSTERN_DATA_DIR: join(folder, 'data'), ...env };
  const args = [...(config === undefined ? [] : ['--config', file]), 'serve'];
  const result = await postern(args, { env: settings, cwd: folder });
  expect({ ...result, octets: undefined }).toMatchObject({ code: 1, stdout: '', stderr: expect.any(String) as string });
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect(result.stderr).not.toMatch(SECRETS);
  expect(processesOf(-1, folder)).toEqual([]);
  return result;
}

/** What was said, apart from the log, which must be one line. */
function sentenceOf(stderr: string): string {
  const said = stderr
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('{'));
  expect(said).toHaveLength(1);
  return said[0]!;
}

/** A file with this text, the path of it. */
function file(text: string): string {
  const path = join(temporaryFolder(), 'file');
  writeFileSync(path, text);
  return path;
}

describe('a start that cannot succeed', () => {
  const releases: (() => Promise<void>)[] = [];
  afterAll(() => Promise.all(releases.map((release) => release())));

  async function portTaken(variable: string, setting: string): Promise<Fault> {
    const { port, release } = await holdPort();
    releases.push(release);
    return { env: { [variable]: String(port) }, says: [setting, `127.0.0.1:${port}`, /in use/] };
  }
  const certificate = (cert: string, key: string) => ({ POSTERN_TLS_CERT: cert, POSTERN_TLS_KEY: key });

  const faults: Record<string, () => Fault | Promise<Fault>> = {
    // First, because it waits longest.
    'a Redis that cannot be reached': async () => ({
      env: { POSTERN_REDIS_URL: `redis://:redis-password@127.0.0.1:${await closedPort()}/0` },
      says: ['redis.url', '127.0.0.1'],
    }),
    'smtp.port taken': () => portTaken('POSTERN_SMTP_PORT', 'smtp.port'),
    'smtp.securePort taken': () => portTaken('POSTERN_SMTP_SECURE_PORT', 'smtp.securePort'),
    'http.port taken': () => portTaken('POSTERN_HTTP_PORT', 'http.port'),
    'an address that is not of this machine': () => ({
      env: { POSTERN_HOST: '203.0.113.77' },
      says: ['203.0.113.77', /\bhost\b/],
    }),
    'no redis-server on the PATH': () => {
      const path = temporaryFolder();
      symlinkSync(process.execPath, join(path, 'node'));
      return { env: { PATH: path }, says: ['redis-server', 'redis.url', 'bin/setup'] };
    },
    'a data folder that is a file': () => {
      const data = file('a file\n');
      return { env: { POSTERN_DATA_DIR: data }, says: ['dataDir', data] };
    },
    'a data folder under a file': () => ({
      env: { POSTERN_DATA_DIR: join(file('a file\n'), 'data') },
      says: ['dataDir'],
    }),
    'a certificate that does not exist': () => ({
      env: certificate('/nowhere/cert.pem', '/nowhere/key.pem'),
      says: ['tls.cert', '/nowhere/cert.pem'],
    }),
    'a certificate without its key': () => ({
      env: { POSTERN_TLS_CERT: '/some/cert.pem' },
      says: [/tls\.cert.*tls\.key/],
    }),
    'a certificate that does not fit its key': async () => {
      const [one, two] = [await makeCertificate(), await makeCertificate()];
      return { env: certificate(file(one.cert), file(two.key)), says: ['tls.cert', 'tls.key'] };
    },
    'a certificate that is none': async () => ({
      env: certificate(file('no certificate\n'), file((await makeCertificate()).key)),
      says: ['tls.cert'],
    }),
    'a certificate that is a folder': () => ({
      env: certificate(temporaryFolder(), temporaryFolder()),
      says: ['tls.cert'],
    }),
    'an unknown setting in the file': () => ({ config: 'smtp:\n  prot: 25\n', says: [/smtp\.prot\b/] }),
    'an unknown section in the file': () => ({ config: 'stmp:\n  port: 25\n', says: [/stmp\b/] }),
    'an unknown setting in the environment': () => ({ env: { POSTERN_SMTP_PROT: '25' }, says: ['POSTERN_SMTP_PROT'] }),
    'a wrong value in the file': () => ({
      config: 'smtp:\n  maxRecipients: lots\n',
      says: [/smtp\.maxRecipients.*lots/],
    }),
    'a wrong value in the environment': () => ({
      env: { POSTERN_LOG_LEVEL: 'loud' },
      says: [/log\.level.*loud.*debug/],
    }),
    'a number out of range': () => ({ env: { POSTERN_SMTP_PORT: '70000' }, says: [/smtp\.port.*70000.*65535/] }),
    'a value in a file that does not exist': () => ({
      env: { POSTERN_RELAY_URL_FILE: '/nowhere/url' },
      says: ['POSTERN_RELAY_URL_FILE'],
    }),
    'a value given twice': () => ({
      env: { POSTERN_RELAY_URL: 'smtp://a.example.com', POSTERN_RELAY_URL_FILE: file('smtp://b.example.com') },
      says: ['POSTERN_RELAY_URL_FILE', 'POSTERN_RELAY_URL'],
    }),
    'a file that is no YAML': () => ({ config: 'smtp: [\n', says: ['postern.yml'] }),
    'a file that is a list': () => ({ config: '- smtp\n- http\n', says: [/postern\.yml|not a setting/] }),
    'a section that is a value': () => ({ config: 'smtp: 25\n', says: [/smtp\b/] }),
    'a configuration file that does not exist': () => ({
      env: { POSTERN_CONFIG: '/nowhere/postern.yml' },
      says: ['/nowhere/postern.yml'],
    }),
    'a configuration file that is a folder': () => ({
      env: { POSTERN_CONFIG: dirname(POSTERN) },
      says: [dirname(POSTERN)],
    }),
    'no listener at all': () => ({ env: ALL_OFF, says: ['smtp.port', 'http.port'] }),
    'a pepper that is too short': () => ({ env: { POSTERN_KEYS_PEPPER: 'short-pepper' }, says: [/keys\.pepper.*32/] }),
    ...relay('of another scheme', 'https://user:relay-password@relay.example.com', /smtps?:\/\//),
    ...relay('without a host', 'smtp://', /relay\.url/),
    ...relay('with a port that is none', 'smtp://relay.example.com:99999', /relay\.url/),
    ...relay('with an unknown option', 'smtp://u:relay-password@relay.example.com?verify=no', /verify/),
    ...relay('with an unknown TLS mode', 'smtp://relay.example.com?tls=maybe', /maybe/),
    ...relay('with a password that is not encoded', 'smtp://user:p#ss@relay.example.com', /relay\.url/),
    ...relay('with a good one before it', 'smtp://a.example.com, smtp//b.example.com', /relay\.url/),
  };

  function relay(what: string, url: string, says: RegExp): Record<string, () => Fault> {
    return { [`a relay ${what}`]: () => ({ env: { POSTERN_RELAY_URL: url }, says: ['relay.url', says] }) };
  }

  const outcome = together(Object.keys(faults), async (name) => {
    const { says, ...given } = await faults[name]!();
    return { says, stderr: (await fault(given)).stderr };
  });

  it.each(Object.keys(faults))('names what is wrong: %s', async (name) => {
    const { says, stderr } = await outcome(name);

    for (const what of says) expect(stderr).toMatch(what);
    // Problems of the configuration are a list, everything else is one sentence.
    if (!stderr.includes('configuration')) sentenceOf(stderr);
  });
});

describe('a Redis', () => {
  it.each([
    ['appendfsync', 'everysec'],
    ['appendonly', 'no'],
    ['maxmemory-policy', 'allkeys-lru'],
  ])('that may lose mail (%s %s) is refused, or with warn is only warned of', async (setting, value) => {
    const redis = await startRedis({ args: [`--${setting}`, value] });
    try {
      const env = { POSTERN_REDIS_URL: redis.url };
      const sentence = sentenceOf((await fault({ env })).stderr);
      expect(sentence).toContain('redis.durability');
      expect(sentence).toContain(`${setting} is ${value}`);

      const warned = await startPostern({ env: { ...env, POSTERN_REDIS_DURABILITY: 'warn' } });
      expect(warned.stderr()).toContain(`${setting} is ${value}`);
      const made = await warned.json<{ api_key: string }>(['keys', 'create', '--name', 'x']);
      expect(await submitOnce(warned.smtp, made.api_key)).toHaveLength(22);
      await warned.killAll();
    } finally {
      await redis.stop();
    }
  });
});

describe('a configuration with many faults', () => {
  it('has all of them listed at once, with secrets masked', async () => {
    const { stderr } = await fault({
      config: 'smtp:\n  port: -1\n  colour: red\nlog:\n  level: loud\n',
      env: {
        POSTERN_WORKERS: '0',
        POSTERN_KEYS_PEPPER: 'short-pepper',
        POSTERN_RELAY_URL: 'ftp://user:relay-password@relay.example.com',
        POSTERN_REDIS_URL: 'http://user:redis-password@redis.example.com',
        POSTERN_SMTP_PORT: '-1',
      },
    });

    for (const name of ['smtp.port', 'smtp.colour', 'log.level', 'workers', 'keys.pepper', 'relay.url', 'redis.url'])
      expect(stderr).toContain(name);
  });
});

describe('a pepper', () => {
  it('that is not the one of the keys is refused, and the right one works again', async () => {
    const first = await startPostern({ env: { POSTERN_KEYS_PEPPER: PEPPER } });
    const key = first.key();
    await first.stop();
    const folder = dirname(first.dataDir);

    const asConfigured = sentenceOf(
      (await fault({ env: { POSTERN_KEYS_PEPPER: `${PEPPER}-another` } }, folder)).stderr,
    );
    const asFile = sentenceOf((await fault({}, folder)).stderr);

    expect(asConfigured).toContain('keys.pepper');
    expect(asFile).toMatch(/pepper/);
    expect(asConfigured + asFile).not.toContain(PEPPER);
    expect(asConfigured + asFile).not.toMatch(KEY);
    const again = await startPostern({ dataDir: first.dataDir, env: { POSTERN_KEYS_PEPPER: PEPPER } });
    expect(await submitOnce(again.smtp, key)).toHaveLength(22);
  });
});
