// postern explain and postern guard beside a running server: what explain foretells is what the server says.
import { ask } from '../support/contract.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { until } from '../support/until.js';

let server: ReadyPostern;
beforeAll(async () => {
  server = await startPostern({
    env: { POSTERN_AUTH_MAX_FAILURES_PER_ADDRESS: '2', POSTERN_AUTH_MAX_DELAY_SECONDS: '0' },
  });
});

interface Reply {
  code: number;
  enhanced: string;
  text: string;
}
interface Explained {
  allowed: boolean;
  first_refusal: { stage: string; rule: string; reason: string; reply: Reply } | null;
  stages: { stage: string; rule: string; outcome: string; first?: true }[];
}
interface Key {
  api_key: string;
  api_key_id: string;
}

const create = (...options: string[]) =>
  server.json<Key>(['keys', 'create', '--name', 'test', '--scope', 'mail.send', ...options]);

async function explain(id: string, ...options: string[]): Promise<Explained & { exitCode: number | null }> {
  const { code, stdout } = await server.run(['explain', '--key-id', id, '--json', ...options]);
  return { exitCode: code, ...(JSON.parse(stdout) as Explained) };
}

const foretold = ({ first_refusal: first }: Explained): string | undefined =>
  first ? `${first.reply.code} ${first.reply.enhanced} ${first.reply.text}` : undefined;

/** The first reply that refuses a message in a real session. */
async function refusalOf({ api_key: key }: Key, from: string, to: string): Promise<string | undefined> {
  const dialogue = await openDialogue(server.smtp);
  await dialogue.ehlo();
  const steps: ((dialogue: Dialogue) => Promise<string>)[] = [
    (it) => it.authPlain('apikey', key),
    (it) => it.line(`MAIL FROM:<${from}>`),
    (it) => it.line(`RCPT TO:<${to}>`),
  ];
  for (const step of steps) {
    const reply = await step(dialogue);
    if (!reply.startsWith('2')) return dialogue.close().then(() => reply);
  }
  await dialogue.close();
  return undefined;
}

const FROM = 'app@example.com';
const TO = 'you@example.org';
const ATTEMPT = ['--from', FROM, '--to', TO, '--no-tls'];

test.each<[string, string[], string]>([
  ['nothing', ['--from', 'example.com'], ''],
  ['a recipient', ['--to', 'example.net'], 'RCPT'],
  ['a foreign client', ['--ip', '10.0.0.0/8'], 'AUTH'],
])('foretells the refusal of %s word for word', async (_what, restrictions, stage) => {
  const key = await create(...restrictions);

  const explained = await explain(key.api_key_id, ...ATTEMPT);

  expect(explained.exitCode).toBe(stage ? 1 : 0);
  expect(explained.allowed).toBe(!stage);
  expect(explained.first_refusal?.stage ?? '').toBe(stage);
  expect(explained.stages.filter(({ first }) => first)).toHaveLength(stage ? 1 : 0);
  expect(foretold(explained)).toBe(await refusalOf(key, FROM, TO));
});

test('is readable: each rule on a line, the first that refuses marked, and the reply below it', async () => {
  const { api_key_id: id } = await create('--from', 'example.net', '--to', 'example.net');

  const { code, stdout } = await server.run(['explain', '--key-id', id, ...ATTEMPT]);

  expect(code).toBe(1);
  expect(stdout).toMatch(/^refused at MAIL by the rule sender: 550 5\.7\.1 The from address/);
  expect(stdout).toMatch(/^> MAIL +sender +refuses +the key may not send as app@example\.com\n +550 5\.7\.1 The from/m);
  expect(stdout).toMatch(/^ {2}RCPT +recipient +refuses/m);
  expect(stdout.match(/^>/gm)).toHaveLength(1);
});

test('keys verify goes the same way, and says so beside what it always said', async () => {
  const { api_key: input } = await create('--from', 'example.net');

  const { code, stdout } = await server.run(['keys', 'verify', '--from', FROM, '--json'], { input });

  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ verdict: 'valid', may_send: false });
  const { stages, reasons } = JSON.parse(stdout) as Explained & { reasons: string[] };
  expect(reasons[0]).toBe(`the key may not send as ${FROM}`);
  expect(stages.find(({ first }) => first)).toMatchObject({ stage: 'MAIL', rule: 'sender', outcome: 'refuses' });
});

test.each<[string, string[], RegExp]>([
  ['a key in place of its id', ['--key-id', 'SG.id.secret'], /22 characters/],
  ['no address', ['--key-id', 'A'.repeat(22), '--from', 'nobody'], /unqualified-domain/],
])('is told that %s is wrong usage', async (_what, options, message) => {
  const { code, stdout, stderr } = await server.run(['explain', ...options]);

  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
});

describe('postern guard', () => {
  const guess = () => ask(server.http, '/v3/scopes', { key: 'nonsense' });
  const linesOf = (what: string) => server.stderr().split(what).length - 1;

  test('lists who is blocked and forgets it; explain knows of it, a good key works, and the log has one line', async () => {
    const revoked = await create();
    await server.run(['keys', 'revoke', revoked.api_key_id]);

    const statuses: number[] = [];
    while (statuses.length < 20 && statuses.at(-1) !== 429) statuses.push((await guess()).status);
    expect(statuses.at(-1)).toBe(429);
    const said = statuses.length - 1;
    await until('the log has them', () => linesOf('HTTP request refused') >= said);
    for (let at = 0; at < 3; at++) expect((await guess()).status).toBe(429);

    const { result } = await server.json<{ result: { client: string }[] }>(['guard', 'list']);
    expect(result).toMatchObject([{ client: '127.0.0.1' }]);
    expect((await explain(revoked.api_key_id)).first_refusal).toMatchObject({
      ...{ rule: 'not revoked', reason: 'too-many-failed-logins', reply: { code: 421 } },
    });
    expect(await refusalOf(await create(), FROM, TO)).toBeUndefined();
    expect(linesOf('guesses are blocked')).toBe(1);
    expect(linesOf('HTTP request refused')).toBe(said);

    expect(await server.json(['guard', 'clear', '127.0.0.1'])).toMatchObject({ address: '127.0.0.1', cleared: true });
    expect(await server.json(['guard', 'list'])).toEqual({ result: [] });
    expect((await explain(revoked.api_key_id)).first_refusal).toMatchObject({ reason: 'bad-key' });
  });

  test('takes an address and nothing else', async () => {
    const { code, stderr } = await server.run(['guard', 'clear', 'somebody']);

    expect(code).toBe(2);
    expect(stderr).toContain('192.0.2.7');
  });
});

test('an international domain is the same in both of its forms', async () => {
  const key = await create('--from', 'bücher.example', '--to', 'xn--bcher-kva.example');
  const attempt = (from: string, to: string) => explain(key.api_key_id, '--from', from, '--to', to, '--no-tls');
  expect(await attempt('app@xn--bcher-kva.example', 'you@BÜCHER.example')).toMatchObject({
    allowed: true,
    exitCode: 0,
  });
  expect(await attempt('app@bücher.example', 'you@bucher.example')).toMatchObject({
    first_refusal: { reason: 'recipient-not-allowed' },
  });
});
