// A store that is full, away or hanging is a temporary fault for every client, is seen by a load balancer, and passes
// by itself: nobody is told that a good key is wrong, and nothing that was accepted is lost.
import { ask } from '../support/contract.js';
import { attempt, logIn, submit } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { until } from '../support/until.js';

let redis: TestRedis;
let server: ReadyPostern;
let key: string;
/** Never used before the store goes away, so that no process remembers it. */
let unused: string;
const opened: Dialogue[] = [];

beforeAll(async () => {
  redis = await startRedis();
  server = await startPostern({ env: { POSTERN_REDIS_URL: redis.url, POSTERN_REDIS_COMMAND_TIMEOUT_SECONDS: '1' } });
  const create = async () => (await server.json<{ api_key: string }>(['keys', 'create', '--name', 'storage'])).api_key;
  [key, unused] = await Promise.all([create(), create()]);
});
afterEach(() => Promise.all(opened.splice(0).map((dialogue) => dialogue.close())));
afterAll(() => redis.stop());

async function session(): Promise<Dialogue> {
  const dialogue = await logIn(server.smtp, key);
  opened.push(dialogue);
  return dialogue;
}

async function login(): Promise<string> {
  const dialogue = await openDialogue(server.smtp);
  opened.push(dialogue);
  await dialogue.ehlo();
  return dialogue.authPlain('apikey', unused);
}

const readiness = async () => (await ask(server.http, '/readyz')).status;
const messages = async () => (await server.json<{ result: { id: string }[] }>(['messages', 'list'])).result;

/** Until mail is taken again; every reply before that must be temporary. */
async function recovered(dialogue: Dialogue): Promise<string> {
  return until('mail is taken again', async () => {
    const reply = await attempt(dialogue);
    expect(reply).toMatch(/^[24]/);
    return reply.startsWith('250') && reply;
  });
}

it('a full store is answered 452 4.3.1, and takes mail again when there is room', async () => {
  const dialogue = await session();
  const id = await submit(dialogue);
  await redis.client().config('SET', 'maxmemory', '1');

  expect(await attempt(dialogue)).toMatch(/^452 4\.3\.1 /);
  expect(await attempt(dialogue, { data: `\r\n${`${'x'.repeat(98)}\r\n`.repeat(20_000)}` })).toMatch(/^452 4\.3\.1 /);

  await redis.client().config('SET', 'maxmemory', '0');
  expect(await recovered(dialogue)).toMatch(/^250 2\.6\.0 /);
  expect((await messages()).map((message) => message.id)).toContain(id);
});

it.each([
  ['is gone', (): unknown => redis.kill(), (): unknown => redis.start()],
  ['hangs', (): unknown => process.kill(redis.pid, 'SIGSTOP'), (): unknown => process.kill(redis.pid, 'SIGCONT')],
])(
  'a store that %s is answered 454 at AUTH and 451 in a transaction, and comes back by itself',
  async (_how, go, come) => {
    const dialogue = await session();
    const inData = await session();
    const id = await submit(dialogue);
    for (const line of ['MAIL FROM:<app@example.com>', 'RCPT TO:<you@example.com>', 'DATA']) await inData.line(line);
    const before = (await messages()).length;

    await go();
    await until('not ready', async () => (await readiness()) === 503);
    expect(await login()).toBe('454 4.7.0 Temporary authentication failure');
    expect(await inData.line('Subject: x\r\n\r\nx\r\n.')).toMatch(/^451 4\.3\.0 /);
    expect(await attempt(dialogue)).toMatch(/^451 4\.3\.0 /);
    expect((await ask(server.http, '/healthz')).status).toBe(200);

    await come();
    await until('ready again', async () => (await readiness()) === 200);
    expect(await recovered(dialogue)).toMatch(/^250 2\.6\.0 /);
    expect(await until('the key is known again', async () => (await login()).startsWith('235'))).toBe(true);
    const after = await messages();
    expect(after.map((message) => message.id)).toContain(id);
    // What was answered 451 may have been kept all the same when the store hung, but no more than that.
    expect(after.length - before).toBeLessThanOrEqual(3);
  },
);
