// The bounds of a server that is set to be strict, and what clients are told at each of them.
import { attempt, queueId } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue, type Dialogue } from '../support/dialogue.js';
import { until } from '../support/until.js';

const opened: Dialogue[] = [];
afterEach(() => Promise.all(opened.splice(0).map((dialogue) => dialogue.close())));

async function open(port: number, tls?: true): Promise<Dialogue> {
  const dialogue = await openDialogue(port, tls ? { tls } : {});
  opened.push(dialogue);
  return dialogue;
}

/** A connection that is let in, which is when the server has seen those of the test before end. */
function admitted(port: number, tls?: true): Promise<Dialogue> {
  return until('a greeting', async () => {
    const dialogue = await open(port, tls);
    return dialogue.greeting.startsWith('220') && dialogue;
  });
}

let server: ReadyPostern;
beforeAll(async () => {
  const env = {
    POSTERN_SMTP_BARE_NEWLINES: 'refuse',
    POSTERN_SMTP_ALLOW_INSECURE_AUTH: 'never',
    POSTERN_SMTP_MAX_CONNECTIONS_PER_ADDRESS: '2',
    POSTERN_SMTP_MAX_ERRORS: '3',
    POSTERN_SMTP_MAX_AUTH_FAILURES: '2',
    POSTERN_SMTP_MAX_MESSAGES_PER_CONNECTION: '2',
    POSTERN_SMTP_IDLE_TIMEOUT_SECONDS: '2',
  };
  server = await startPostern({ env });
});

/** A session over TLS that is logged in. */
async function loggedIn(): Promise<Dialogue> {
  const dialogue = await admitted(server.smtps, true);
  await dialogue.ehlo();
  expect(await dialogue.authPlain('apikey', server.key())).toMatch(/^235 /);
  return dialogue;
}

it('AUTH in the clear is not offered, and refused with 538 5.7.11 before the key is looked at', async () => {
  const dialogue = await admitted(server.smtp);

  expect((await dialogue.ehlo()).join()).not.toContain('AUTH');
  expect(await dialogue.line(`AUTH PLAIN ${Buffer.from(`\0apikey\0${server.key()}`).toString('base64')}`)).toMatch(
    /^538 5\.7\.11 /,
  );
  expect(await dialogue.line('AUTH LOGIN')).toMatch(/^538 5\.7\.11 /);
  await dialogue.startTls();
  expect(await dialogue.ehlo()).toContain('AUTH PLAIN LOGIN');
  expect(await dialogue.authPlain('apikey', server.key())).toMatch(/^235 /);
});

it.each([
  ['LF', 'one\ntwo'],
  ['CR', 'one\rtwo'],
  ['LF in front of the dot', 'one\n.\r\ntwo'],
])('a bare %s in a message is refused with 550 5.6.11', async (_what, body) => {
  const dialogue = await loggedIn();

  expect(await attempt(dialogue, { data: `Subject: x\r\n\r\n${body}\r\n` })).toMatch(/^550 5\.6\.11 /);
  expect(queueId(await attempt(dialogue))).toHaveLength(22);
});

it('one connection too many is answered 421 4.7.0 and closed', async () => {
  const first = await admitted(server.smtp);
  await admitted(server.smtp);

  const third = await open(server.smtp);

  expect(third.greeting).toMatch(/^421 4\.7\.0 /);
  await third.closed;
  await first.close();
  await until('room again', async () => (await open(server.smtp)).greeting.startsWith('220'));
});

it('too many errors are answered 421 4.7.0, and the connection is closed', async () => {
  const dialogue = await admitted(server.smtp);
  const replies: string[] = [];
  while (!replies.at(-1)?.startsWith('421') && replies.length < 10) replies.push(await dialogue.line('WIZ'));

  expect(replies.at(-1)).toMatch(/^421 4\.7\.0 /);
  expect(replies).toHaveLength(4);
  await dialogue.closed;
});

it('too many failed logins are answered 421 4.7.0, and the connection is closed', async () => {
  const dialogue = await admitted(server.smtps, true);
  await dialogue.ehlo();

  expect(await dialogue.authPlain('apikey', 'wrong')).toMatch(/^535 5\.7\.8 /);
  expect(await dialogue.authPlain('apikey', 'wrong')).toMatch(/^421 4\.7\.0 /);
  await dialogue.closed;
});

it('a silent connection is answered 421 4.4.2 and closed', async () => {
  const dialogue = await admitted(server.smtp);

  expect(await dialogue.reply()).toMatch(/^421 4\.4\.2 /);
  await dialogue.closed;
});

it('one message too many on a connection is answered 421 4.7.0, and the next connection may send it', async () => {
  const dialogue = await loggedIn();
  const replies = [await attempt(dialogue), await attempt(dialogue), await attempt(dialogue)];

  expect(replies.map((reply) => reply.slice(0, 9))).toEqual(['250 2.6.0', '250 2.6.0', '421 4.7.0']);
  expect(queueId(await attempt(await loggedIn()))).toHaveLength(22);
});
