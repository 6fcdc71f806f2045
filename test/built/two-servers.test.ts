// Two servers on one Redis, as two machines would be: what is done to a key at one holds at the other, at once and
// exactly, and the commands beside them leave one audit log.
import { attempt, logIn } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { ask } from '../support/contract.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { DEAD_WITHIN_MS, firstRefusal, mailOn, scopesOf } from '../support/revocation.js';
import { until } from '../support/until.js';

const QUEUED = /^250 2\.6\.0 /;

let redis: TestRedis;
let one: ReadyPostern;
let other: ReadyPostern;
let env: Record<string, string>;

beforeAll(async () => {
  redis = await startRedis();
  const loose = { POSTERN_AUTH_MAX_FAILURES_PER_ADDRESS: '0', POSTERN_SMTP_MAX_COMMANDS: '100000' };
  env = { POSTERN_REDIS_URL: redis.url, POSTERN_KEYS_PEPPER: 'the-pepper-of-two-servers-that-share-it', ...loose };
  [one, other] = await Promise.all([startPostern({ env }), startPostern({ env })]);
});
afterAll(async () => {
  await Promise.all([one.stop(), other.stop()]);
  await redis.stop();
});

interface Key {
  api_key: string;
  api_key_id: string;
}
const create = (...options: string[]) => one.json<Key>(['keys', 'create', '--name', 'test', ...options]);
const audit = (...options: string[]) => one.run(['audit', 'verify', ...options]);

describe('a key that is revoked at one server', () => {
  it.each<[string, (id: string) => Promise<unknown>]>([
    ['by the command', (id) => one.run(['keys', 'revoke', id])],
    [
      'over HTTP',
      async (id) => ask(one.http, `/v3/api_keys/${id}`, { method: 'DELETE', key: (await create()).api_key }),
    ],
  ])('%s is dead at the other within a second, in open sessions and over HTTP', async (_how, revoke) => {
    const { api_key: key, api_key_id: id } = await create();
    const dialogue = await logIn(other.smtp, key);
    expect([await mailOn(dialogue)(), await scopesOf(other.http, key)()]).toEqual(['250 2.1.0 Ok', '200']);

    await revoke(id);

    const deadAt = Date.now() + DEAD_WITHIN_MS;
    const answers = await Promise.all(
      [mailOn(dialogue), scopesOf(other.http, key)].map((each) => firstRefusal(deadAt, each, /^[^2]/)),
    );
    expect(answers).toEqual([expect.stringMatching(/^421 4\.7\.0 .* no longer valid$/), '401']);
    await dialogue.closed;
  });
});

describe('a limit of a key', () => {
  it.each([
    ['--quota', '12/1d', /^451 4\.7\.1 Quota /],
    ['--rate', '12/1d', /^450 4\.7\.1 /],
  ])('%s %s lets as many through as it says in all, and none more after a restart', async (option, limit, refusal) => {
    const { api_key: key } = await create(option, limit);
    const servers = [one, one, one, other, other, other];
    const dialogues = await Promise.all(servers.map(({ smtp }) => logIn(smtp, key)));
    const replies = await Promise.all(
      dialogues.map(async (dialogue) => [await attempt(dialogue), await attempt(dialogue), await attempt(dialogue)]),
    );
    expect(replies.flat().filter((reply) => QUEUED.test(reply))).toHaveLength(12);
    for (const reply of replies.flat()) expect(reply).toMatch(QUEUED.test(reply) ? QUEUED : refusal);
    await Promise.all(dialogues.map((dialogue) => dialogue.close()));

    expect(await other.stop()).toBe(0);
    other = await startPostern({ env });
    for (const { smtp } of [one, other]) {
      const dialogue = await logIn(smtp, key);
      expect(await attempt(dialogue)).toMatch(refusal);
      await dialogue.close();
    }
  });
});

describe('keys rotate', () => {
  it('lets both secrets in at the other server, and keys show tells who still uses the old one', async () => {
    const { api_key: old, api_key_id: id } = await create();
    const session = await logIn(other.smtp, old);
    const { api_key: current } = await one.json<Key>(['keys', 'rotate', id, '--overlap', '1h']);
    expect(current).not.toBe(old);
    expect(await scopesOf(other.http, current)()).toBe('200');
    expect(await attempt(session)).toMatch(QUEUED);
    await session.close();

    const { rotation } = await until('the note of it', async () => {
      const shown = await one.json<{ rotation: { old_secret_used_by: unknown[] } }>(['keys', 'show', id]);
      return shown.rotation.old_secret_used_by.length > 0 && shown;
    });
    expect(rotation).toMatchObject({
      ...{ old_secret_alive: true, old_secret_used_by: [{ address: '127.0.0.1', name: 'client.test' }] },
    });
  });
});

describe('the audit log', () => {
  it('is one chain of what is done by commands and over HTTP at the same time, each in its name', async () => {
    const [{ api_key: owner, api_key_id: ownerId }, { api_key_id: id }] = await Promise.all([create(), create()]);
    const rename = (server: ReadyPostern, name: string) =>
      ask(server.http, `/v3/api_keys/${id}`, { method: 'PATCH', key: owner, body: { name } });
    await Promise.all([
      ...Array.from({ length: 5 }, (_each, at) => rename(at % 2 ? one : other, `name ${at}`)),
      one.run(['keys', 'update', id, '--name', 'by hand']),
    ]);

    const entries = await one.json<{ result: { actor: string; action: string }[] }>(['audit', 'list', '--key', id]);
    const actors = entries.result.map(({ actor }) => actor);
    expect(actors.filter((actor) => actor === `key:${ownerId}`)).toHaveLength(5);
    expect(actors.filter((actor) => actor.startsWith('cli:'))).toHaveLength(2);
    expect(await audit()).toMatchObject({ code: 0, stdout: expect.stringContaining('is whole') as string });
  });

  it('that was tampered with ends verify with 1 and the entry', async () => {
    const client = redis.client();
    const { last } = JSON.parse((await audit('--json')).stdout) as { last: number };
    await create();
    await client.xdel('postern:{keys}:audit', `${last + 1}-0`);

    const cut = await audit('--json');
    expect(cut.code).toBe(1);
    expect(JSON.parse(cut.stdout)).toMatchObject({ ok: false, bad_entry: last + 1, problem: 'is missing' });
  });
});
