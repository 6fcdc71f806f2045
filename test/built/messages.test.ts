// postern messages beside a running server: the queue and the recent past, and the two things that can be done to a
// message in it. The next hop does as each test says.
import { attempt, logIn, submitOnce } from '../support/built-mail.js';
import { KEY, startPostern, type ReadyPostern } from '../support/built-server.js';
import { startNextHop, type NextHop } from '../support/next-hop.js';
import type { Script } from '../support/next-hop-script.js';
import { until } from '../support/until.js';

interface Shown {
  id: string;
  status: string;
  from: string;
  subject: string;
  api_key_id: string;
  recipients: { address: string; state: string; attempts: number; reply: string }[];
  events: { type: string; reply?: string }[];
  next_attempt_at: string | null;
}

let hop: NextHop;
let server: ReadyPostern;
let delivered: string;
let failed: string;
let deferred: string;

/** By the local part of the recipient: what happens to it at the next hop. */
const byRecipient: Script = ({ stage, recipient }) => {
  if (stage !== 'rcpt') return undefined;
  if (recipient?.startsWith('never')) return '550 5.1.1 no such mailbox here';
  if (recipient?.startsWith('later')) return '450 4.2.1 mailbox busy, come back';
  return undefined;
};

const show = (id: string) => server.json<Shown>(['messages', 'show', id]);
const list = async (...options: string[]) =>
  (await server.json<{ result: Shown[] }>(['messages', 'list', ...options])).result;
const withStatus = (id: string, status: string) =>
  until(`${id} ${status}`, async () => {
    const shown = await show(id);
    return shown.status === status && shown;
  });
const mailTo = (to: string | string[], subject = 'mail') =>
  submitOnce(server.smtp, server.key(), { to, data: `From: app@example.com\r\nSubject: ${subject}\r\n\r\ntext\r\n` });

beforeAll(async () => {
  hop = await startNextHop({ script: byRecipient });
  server = await startPostern({ env: { POSTERN_RELAY_URL: hop.url } });
  delivered = await mailTo('good@example.com', 'Grüße'.normalize());
  failed = await mailTo(['never@example.com', 'good@example.com']);
  deferred = await mailTo('later@example.com');
  await Promise.all([
    withStatus(delivered, 'delivered'),
    withStatus(failed, 'partly-failed'),
    withStatus(deferred, 'deferred'),
  ]);
});
afterAll(() => hop.stop());

describe('messages list', () => {
  it('shows the newest first, what became of each, and the words of the next hop', async () => {
    const { code, stdout } = await server.run(['messages', 'list']);

    expect(code).toBe(0);
    // There may be a report to the sender besides, which has an id of its own.
    const own = (id: string) => [deferred, failed, delivered].some((mine) => id.startsWith(mine));
    expect(stdout.trimEnd().split('\n').filter(own)).toEqual([
      expect.stringMatching(new RegExp(`^${deferred} .* deferred .*450 4\\.2\\.1 mailbox busy`)),
      expect.stringMatching(new RegExp(`^${failed} .* partly-failed `)),
      expect.stringMatching(new RegExp(`^${delivered} .* delivered `)),
    ]);
    expect((await list()).map(({ id }) => id).filter(own)).toEqual([deferred, failed, delivered]);
  });

  it('may be narrowed to a status and to a number', async () => {
    const [all, byStatus, byNumber] = await Promise.all([list(), list('--status', 'deferred'), list('--limit', '2')]);

    expect(byStatus.map(({ id }) => id)).toEqual([deferred]);
    expect(byNumber).toEqual(all.slice(0, 2));
  });

  it.each([
    [['--status', 'lost'], /lost/],
    [['--limit', 'many'], /many/],
    [['--limit', '0'], /0/],
  ])('refuses %j as wrong usage', async (options, message) => {
    const { code, stdout, stderr } = await server.run(['messages', 'list', ...options]);

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

describe('messages show', () => {
  it('tells the history with the next hop and its own words, recipient by recipient', async () => {
    const shown = await show(failed);

    expect(shown).toMatchObject({ from: 'app@example.com', api_key_id: KEY.exec(server.key())![1] });
    expect(shown.recipients).toMatchObject([
      {
        address: 'never@example.com',
        state: 'failed',
        reply: expect.stringContaining('550 5.1.1 no such mailbox') as string,
      },
      { address: 'good@example.com', state: 'delivered' },
    ]);
    expect(shown.events[0]).toMatchObject({ type: 'accepted' });
    expect(shown.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['failed', 'delivered']));
    const { stdout } = await server.run(['messages', 'show', failed]);
    for (const text of [
      'partly-failed',
      'never@example.com',
      '550 5.1.1 no such mailbox here',
      `127.0.0.1:${hop.port}`,
    ])
      expect(stdout).toContain(text);
  });

  it('names the time of the next try while a message is deferred', async () => {
    const { next_attempt_at } = await show(deferred);

    expect(Date.parse(next_attempt_at!)).toBeGreaterThan(Date.now());
  });

  it('has the octets with --raw while they are kept', async () => {
    const { code, stdout } = await server.run(['messages', 'show', deferred, '--raw']);

    expect(code).toBe(0);
    expect(stdout).toMatch(/^Received: [\s\S]*From: app@example\.com\r\nSubject: mail\r\n\r\ntext\r\n$/);
  });

  it.each([['show'], ['retry'], ['cancel']])('a message that does not exist is a failure: %s', async (verb) => {
    const id = 'A'.repeat(21) + 'Q';

    const { code, stdout, stderr } = await server.run(['messages', verb, id]);

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(id);
  });
});

describe('messages retry', () => {
  it('sends a deferred message at once', async () => {
    const id = await mailTo('later@example.com');
    await withStatus(id, 'deferred');
    hop.setScript(() => undefined);

    const { code, stdout } = await server.run(['messages', 'retry', id]);

    expect(code).toBe(0);
    expect(stdout).toContain(id);
    const { recipients } = await withStatus(id, 'delivered');
    expect(recipients).toMatchObject([{ attempts: 2 }]);
    hop.setScript(byRecipient);
  });

  it('fails for one that has been delivered', async () => {
    const { code, stderr } = await server.run(['messages', 'retry', delivered]);

    expect(code).toBe(1);
    expect(stderr).toContain(delivered);
  });
});

describe('messages cancel', () => {
  it('takes a message out of the queue, for good', async () => {
    const id = await mailTo('later@example.com');
    await withStatus(id, 'deferred');

    const { code, stdout } = await server.run(['messages', 'cancel', id]);

    expect(code).toBe(0);
    expect(stdout).toContain(id);
    expect((await withStatus(id, 'cancelled')).recipients).toMatchObject([{ state: 'cancelled' }]);
    expect((await server.run(['messages', 'cancel', id])).code).toBe(1);
  });

  it('fails for one that has been delivered', async () => {
    expect(await server.run(['messages', 'cancel', delivered])).toMatchObject({ code: 1, stdout: '' });
  });

  it('lets the server go on taking mail', async () => {
    const dialogue = await logIn(server.smtp, server.key());

    expect(await attempt(dialogue)).toMatch(/^250 2\.6\.0 /);
    await dialogue.close();
  });
});
