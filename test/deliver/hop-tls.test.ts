// TLS towards the next hop (README, "relay.url"): what each mode sends, and what it would rather not send. A next hop
// that cannot be trusted sees neither the login nor a message.
import { HopConnection, type HopFault } from '../../src/deliver/hop-connection.js';
import { parseNextHop } from '../../src/deliver/next-hop.js';
import { makeCertificate, type MadePair } from '../support/certificate.js';
import { startNextHop, type NextHop, type NextHopOptions } from '../support/next-hop.js';
import type { HopEvent } from '../support/next-hop-script.js';

const TIMEOUTS = { connectTimeoutSeconds: 60, replyTimeoutSeconds: 60, transactionTimeoutSeconds: 60 };
const AUTH = { user: 'relay', pass: 'word' };
const MESSAGE = { from: 'a@example.com', to: ['b@example.com'], body: Buffer.from('Subject: x\r\n\r\nx\r\n') };

let pair: MadePair;
let hop: NextHop;
let seen: HopEvent[];

beforeAll(async () => void (pair = await makeCertificate()));
afterEach(() => hop.stop());

/** A next hop with an unknown certificate, unless the options say otherwise. */
async function startHop(options: NextHopOptions = {}, starttls?: string): Promise<void> {
  seen = [];
  hop = await startNextHop({
    ...{ tls: pair, ...options },
    script: (event) => {
      seen.push(event);
      return event.stage === 'starttls' ? starttls : undefined;
    },
  });
}

/** What came of one message: the next hop's reply, or why nothing was sent. */
async function relay(mode: string, login = ''): Promise<string> {
  const url = parseNextHop(hop.url.replace('//', `//${login}`) + (mode && `?tls=${mode}`));
  try {
    const connection = await HopConnection.open(url, 'postern.test', TIMEOUTS, () => {});
    const sent = await connection.send({ ...MESSAGE, size: 19, is8Bit: false, dsn: undefined });
    connection.quit();
    return 'fault' in sent.rest ? sent.rest.fault.message : sent.rest.response;
  } catch (fault) {
    return `nothing sent: ${(fault as HopFault).message}`;
  }
}

const stages = () => [...new Set(seen.map(({ stage }) => stage))];

test.each(['required', 'opportunistic', ''])(
  'tls=%s sends nothing when the certificate does not check',
  async (mode) => {
    await startHop();
    expect(await relay(mode)).toMatch(/^nothing sent: .*self-signed certificate/);
    expect(stages()).toEqual(['connect', 'ehlo', 'starttls']);
  },
);

test('implicit TLS sends nothing when the certificate does not check, and does with tls=insecure', async () => {
  await startHop({ implicitTls: true });
  expect(await relay('required')).toMatch(/^nothing sent: .*self-signed certificate/);
  expect(hop.messages).toEqual([]);
  expect(await relay('insecure')).toMatch(/^250 /);
  expect(hop.messages).toMatchObject([{ tls: true }]);
});

test.each(['required', 'insecure'])('tls=%s sends nothing in clear when STARTTLS is not offered', async (mode) => {
  await startHop({ tls: undefined, auth: AUTH });
  expect(await relay(mode, 'relay:word@')).toMatch(/^nothing sent: /);
  expect(seen.some(({ line }) => /^(AUTH|MAIL)/.test(line))).toBe(false);
});

test('a login goes out under TLS alone, also where the URL names no mode', async () => {
  await startHop({ tls: undefined, auth: AUTH });
  expect(await relay('', 'relay:word@')).toMatch(/^nothing sent: /);
  expect(stages()).not.toContain('auth');
});

test.each(['required', 'insecure', 'opportunistic'])('tls=%s sends nothing when STARTTLS is refused', async (mode) => {
  await startHop({}, '454 4.7.0 not now');
  expect(await relay(mode)).toMatch(/^nothing sent: .*454 4.7.0 not now/);
  expect(stages()).toEqual(['connect', 'ehlo', 'starttls']);
});

test('tls=opportunistic sends in clear where TLS is not offered', async () => {
  await startHop({ tls: undefined });
  expect(await relay('opportunistic')).toMatch(/^250 /);
  expect(hop.messages).toMatchObject([{ tls: false }]);
});

test('tls=none sends in clear where TLS is offered', async () => {
  await startHop();
  expect(await relay('none')).toMatch(/^250 /);
  expect(hop.messages).toMatchObject([{ tls: false }]);
});

test('tls=insecure sends the login and the message under TLS', async () => {
  await startHop({ auth: AUTH });
  expect(await relay('insecure', 'relay:word@')).toMatch(/^250 /);
  expect(hop.messages).toMatchObject([{ tls: true, authUser: 'relay' }]);
  expect(seen.find(({ stage }) => stage === 'auth')).toMatchObject({ tls: true });
});

// Somebody between who adds replies in clear would have them taken for the next hop's own under TLS.
test('replies in clear behind the answer to STARTTLS are never taken for replies under TLS', async () => {
  await startHop({}, '220 2.0.0 go ahead\n250-next-hop.test\n250 SIZE 1');
  expect(await relay('insecure')).toMatch(/^(250 2.0.0 message ok|nothing sent: )/);
  expect(
    seen
      .filter(({ stage }) => stage === 'ehlo')
      .map(({ tls }) => tls)
      .slice(0, 2),
  ).toEqual([false, true]);
});

test('a handshake that comes to nothing sends nothing', async () => {
  await startHop({ tls: pair }, '220 2.0.0 go ahead');
  hop.setScript((event) => (event.stage === 'starttls' ? { reply: '220 2.0.0 go ahead', thenDrop: true } : undefined));
  expect(await relay('insecure')).toMatch(/^nothing sent: /);
  expect(hop.messages).toEqual([]);
});
