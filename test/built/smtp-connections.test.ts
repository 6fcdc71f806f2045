// Limits of connections hold over all processes of a server, whichever of them the kernel gives a connection to, and a
// worker that dies takes its connections out of the count.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';

let server: ReadyPostern;
const opened: Dialogue[] = [];
beforeAll(async () => {
  server = await startPostern({ env: { POSTERN_WORKERS: '2', POSTERN_SMTP_MAX_CONNECTIONS: '3' } });
});
afterEach(() => Promise.all(opened.splice(0).map((dialogue) => dialogue.close())));

async function greeting(): Promise<string> {
  const dialogue = await openDialogue(server.smtp);
  opened.push(dialogue);
  return dialogue.greeting;
}

it('as many as are allowed are let in, of many at once', async () => {
  const greetings = await Promise.all(Array.from({ length: 12 }, greeting));

  expect(greetings.filter((text) => text.startsWith('220 '))).toHaveLength(3);
  const refused = greetings.filter((text) => /^421 4\.7\.0 \S+ Too many connections, try again later$/.test(text));
  expect(refused).toHaveLength(9);
});

it('there is room again when connections end, and when the worker that held them is killed', async () => {
  const full = async () => {
    await until('three of them', async () => (await greeting()).startsWith('421'));
    return true;
  };
  await until('room', async () => (await greeting()).startsWith('220'));
  await full();
  const workers = server.processes().filter(({ commandLine }) => commandLine.includes('worker.js'));
  for (const { pid } of workers) process.kill(pid, 'SIGKILL');
  await until(
    'new workers',
    async () => {
      const dialogue = await openDialogue(server.smtp).catch(() => undefined);
      if (dialogue) opened.push(dialogue);
      return dialogue?.greeting.startsWith('220');
    },
    40_000,
  );
});

// A queue of the system that is full drops what comes: such a client waits for its greeting for ever, or for seconds.
it('a crowd that comes while no worker has time waits, and is greeted', async () => {
  const crowd = 1500;
  const allowed = { POSTERN_SMTP_MAX_CONNECTIONS: '10000', POSTERN_SMTP_MAX_CONNECTIONS_PER_ADDRESS: '10000' };
  const busy = await startPostern({ env: { POSTERN_WORKERS: '1', ...allowed } });
  const [worker] = busy.processes().filter(({ commandLine }) => commandLine.includes('worker.js'));
  const sockets: Socket[] = [];
  try {
    process.kill(worker!.pid, 'SIGSTOP');
    for (let number = 0; number < crowd; number++) sockets.push(connect(busy.smtp, '127.0.0.1'));
    const greetings = sockets.map((socket) => once(socket, 'data'));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    process.kill(worker!.pid, 'SIGCONT');

    const texts = (await Promise.all(greetings)).map(([octets]) => String(octets));
    expect(texts.filter((text) => text.startsWith('220 '))).toHaveLength(crowd);
  } finally {
    process.kill(worker!.pid, 'SIGCONT');
    for (const socket of sockets) socket.destroy();
  }
});
