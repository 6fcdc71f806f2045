// Behind a TCP proxy: a listed one is believed when it says who its client is, nobody else is.
import { connect } from 'node:net';
import { submit } from '../support/built-mail.js';
import { keyIn, startPostern, type ReadyPostern } from '../support/built-server.js';
import { Dialogue, openDialogue } from '../support/dialogue.js';
import { PATIENCE_MS, until } from '../support/until.js';

const PROXY = '127.0.0.2';
const V1 = Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 54321 25\r\n');
const V2 = Buffer.from('0d0a0d0a000d0a515549540a21110013c0000207c6336401d431001904000461626364', 'hex');

let server: ReadyPostern;
let key: string;

beforeAll(async () => {
  server = await startPostern({ env: { POSTERN_SMTP_TRUSTED_PROXIES: PROXY, POSTERN_LOG_LEVEL: 'debug' } });
  key = keyIn((await server.run(['keys', 'create', '--name', 'networks', '--ip', '192.0.2.0/24'])).stdout);
});

/** A connection as the proxy makes it, on which nothing was said. */
const throughProxy = (port: number): Dialogue =>
  new Dialogue(connect({ port, host: '127.0.0.1', localAddress: PROXY, noDelay: true }), PATIENCE_MS);

async function received(dialogue: Dialogue): Promise<string> {
  await dialogue.ehlo();
  expect(await dialogue.authPlain('apikey', key)).toMatch(/^235 /);
  const id = await submit(dialogue);
  await dialogue.close();
  return (await server.run(['messages', 'show', id, '--raw'])).stdout.split('\r\nFrom:')[0]!;
}

it.each([
  ['1', V1],
  ['2', V2],
])('the client of a version %s header counts, before STARTTLS and after', async (_version, header) => {
  const dialogue = throughProxy(server.smtp);
  dialogue.send(header);
  expect(await dialogue.reply()).toMatch(/^220 /);
  // The rule for clients on this machine is not for those of a proxy on it.
  expect((await dialogue.ehlo()).filter((line) => line.startsWith('AUTH'))).toEqual([]);
  await dialogue.startTls();
  expect(await received(dialogue)).toContain('[192.0.2.7]');
});

it('a header is taken off octet by octet', async () => {
  const dialogue = throughProxy(server.smtp);
  for (const octet of V2) {
    dialogue.send(Buffer.of(octet));
    await new Promise(setImmediate);
  }
  expect(await dialogue.reply()).toMatch(/^220 /);
  await dialogue.startTls();
  expect(await received(dialogue)).toContain('[192.0.2.7]');
});

it('a header goes in front of implicit TLS', async () => {
  const dialogue = throughProxy(server.smtps);
  // The handshake follows in the same packet, or close behind.
  dialogue.send(V1);
  await dialogue.encrypt({});
  expect(await dialogue.reply()).toMatch(/^220 /);
  expect(await received(dialogue)).toContain('[192.0.2.7]');
});

it('what comes in one packet with the header is the client talking too soon', async () => {
  const dialogue = throughProxy(server.smtp);
  dialogue.send(Buffer.concat([V1, Buffer.from('EHLO client.test\r\n')]));
  expect(await dialogue.reply()).toMatch(/^(421|554) /);
  await dialogue.closed;
});

it('without a client in the header, the address of the proxy counts', async () => {
  const dialogue = throughProxy(server.smtp);
  dialogue.send('PROXY UNKNOWN\r\n');
  expect(await dialogue.reply()).toMatch(/^220 /);
  expect(await dialogue.ehlo()).toContain('AUTH PLAIN LOGIN');
  expect(await dialogue.authPlain('apikey', key)).toMatch(/^535 /);
  await dialogue.close();
});

it.each(['smtp', 'smtps'] as const)('a proxy that sends no header is dropped unanswered (%s)', async (name) => {
  const [wrong, silent] = [throughProxy(server[name]), throughProxy(server[name])];
  wrong.send('EHLO client.test\r\n');
  await wrong.closed;
  silent.send('PROXY TCP4 ');
  await silent.closed;
  await expect(silent.reply()).rejects.toThrow('received so far: ""');
  await until('a line for each', () => /malformed[\s\S]*missing/.test(server.stderr()));
});

it('from an address that is not listed a header is an unknown command', async () => {
  const dialogue = await openDialogue(server.smtp);
  expect(await dialogue.line(V1.toString().trim())).toMatch(/^500 /);
  await dialogue.ehlo();
  expect(await dialogue.authPlain('apikey', server.key())).toMatch(/^235 /);
  const id = await submit(dialogue);
  await dialogue.close();
  expect((await server.run(['messages', 'show', id, '--raw'])).stdout).toContain('[127.0.0.1]');
});
