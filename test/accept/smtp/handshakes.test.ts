// TLS handshakes that never end: one client cannot hold so many that others are turned away, because those under way
// count for its address before there is a session to count.
import { connect, type Socket } from 'node:net';
import { logIn } from '../../support/built-mail.js';
import { openDialogue } from '../../support/dialogue.js';
import { startTestWorker, type TestWorker } from '../../support/worker.js';

const LIMIT = 3;
const env = { POSTERN_SMTP_MAX_CONNECTIONS_PER_ADDRESS: String(LIMIT) };
const headerOf = (client: string): string => `PROXY TCP4 ${client} 127.0.0.1 40000 465\r\n`;

let direct: TestWorker;
let proxied: TestWorker;
const sockets: Socket[] = [];
beforeAll(async () => {
  direct = await startTestWorker({ env });
  proxied = await startTestWorker({ env: { ...env, POSTERN_SMTP_TRUSTED_PROXIES: '127.0.0.1' } });
});
afterEach(() => sockets.splice(0).forEach((socket) => socket.destroy()));
afterAll(() => Promise.all([direct.stop(), proxied.stop()]));

/** A connection that says no more than `first`. */
function hold(port: number, first = ''): Socket {
  const socket = connect({ port, host: '127.0.0.1' });
  sockets.push(socket);
  socket.on('error', () => {});
  socket.resume();
  if (first) socket.write(first);
  return socket;
}

const closed = (socket: Socket) => new Promise<Socket>((resolve) => socket.once('close', () => resolve(socket)));

/** One more than may be. Resolves with those that are left when the server has ended one. */
async function holdTooMany(port: number, first = ''): Promise<Socket[]> {
  const all = Array.from({ length: LIMIT + 1 }, () => hold(port, first));
  const ended = await Promise.race(all.map(closed));
  return all.filter((socket) => socket !== ended);
}

test('one client has at most as many under way as it may have connections, and room again when they end', async () => {
  const held = await holdTooMany(direct.securePort);
  await expect(direct.metrics.registry.metrics()).resolves.toMatch(
    /postern_refusals_total\{reason="too-many-connections-from-address"\} [1-9]/,
  );
  expect((await openDialogue(direct.port)).greeting).toMatch(/^220 /);

  expect(held.some(({ destroyed }) => destroyed)).toBe(false);
  held[0]!.write('this is no TLS at all, and ends the handshake\r\n');
  await closed(held[0]!);
  const { key } = await direct.mint();
  await (await logIn(direct.securePort, key, { tls: true })).close();
});

test('behind a proxy it is the client that counts', async () => {
  const held = await holdTooMany(proxied.securePort, headerOf('192.0.2.1'));
  const others = await holdTooMany(proxied.securePort, headerOf('192.0.2.2'));
  expect([...held, ...others].some(({ destroyed }) => destroyed)).toBe(false);
});
