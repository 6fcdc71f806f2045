// The mail programs that people have: each sends a mail with nothing but the address of the server and a key, in
// every way it knows to encrypt and to log in. Without a relay the mail is then there to be looked at.
import { createTransport } from 'nodemailer';
import { execute } from '../support/built-command.js';
import { queueId } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';
import { openDialogue } from '../support/dialogue.js';

let server: ReadyPostern;
beforeAll(async () => {
  server = await startPostern();
});

interface Shown {
  id: string;
  status: string;
  from: string;
  subject: string;
  recipients: { address: string; state: string }[];
}

const show = (id: string) => server.json<Shown>(['messages', 'show', id]);
const raw = async (id: string) => (await server.run(['messages', 'show', id, '--raw'])).octets.toString('latin1');

/** The newest message with this subject. */
async function withSubject(subject: string): Promise<Shown> {
  const { result } = await server.json<{ result: Shown[] }>(['messages', 'list']);
  const found = result.find((message) => message.subject === subject);
  if (!found) throw new Error(`no message '${subject}' among ${JSON.stringify(result)}`);
  return found;
}

/** How the message came, from its Received field. */
const protocolOf = (message: string) => /\bwith (\w+)/.exec(message.split('\r\n\r\n', 1)[0]!)?.[1];

describe('swaks', () => {
  const swaks = (mechanism: string, ...more: string[]) =>
    execute('swaks', [
      ...['--auth', mechanism, '--auth-user', 'apikey', '--auth-password', server.key()],
      ...['--from', 'app@example.com', '--to', 'a@example.net,b@example.org', '--body', 'from swaks', ...more],
    ]);

  it.each([
    ['STARTTLS', 'LOGIN'],
    ['STARTTLS', 'PLAIN'],
    ['implicit TLS', 'LOGIN'],
    ['implicit TLS', 'PLAIN'],
  ])('sends over %s with AUTH %s', async (encryption, mechanism) => {
    const way =
      encryption === 'STARTTLS'
        ? ['--server', `127.0.0.1:${server.smtp}`, '--tls']
        : ['--server', `127.0.0.1:${server.smtps}`, '--tls-on-connect'];

    const { code, stdout } = await swaks(mechanism, ...way);

    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining('235 2.7.0 Authentication') as string,
    });
    const id = queueId(stdout);
    expect(await show(id)).toMatchObject({
      status: 'captured',
      from: 'app@example.com',
      recipients: [
        { address: 'a@example.net', state: 'captured' },
        { address: 'b@example.org', state: 'captured' },
      ],
    });
    expect(await raw(id)).toMatch(/^Received: [\s\S]*\r\n\r\nfrom swaks\r\n/);
    expect(protocolOf(await raw(id))).toBe('ESMTPSA');
  });

  it('is told what is wrong when the key is', async () => {
    const wrong = `SG.${'a'.repeat(22)}.${'b'.repeat(43)}`;
    const { code, stdout } = await execute('swaks', [
      ...['--server', `127.0.0.1:${server.smtp}`, '--tls', '--to', 'a@example.net'],
      ...['--auth', 'PLAIN', '--auth-user', 'apikey', '--auth-password', wrong],
    ]);

    expect(code).not.toBe(0);
    expect(stdout).toContain('535 5.7.8 Authentication failed: Bad username / password');
  });
});

describe('curl', () => {
  it.each([
    ['smtp://', 'STARTTLS', 'ESMTPSA'],
    ['smtps://', 'implicit TLS', 'ESMTPSA'],
    ['smtp:// in the clear', 'nothing', 'ESMTPA'],
  ])('sends by %s, encrypted with %s', async (name, encryption, protocol) => {
    const url = encryption === 'implicit TLS' ? `smtps://127.0.0.1:${server.smtps}` : `smtp://127.0.0.1:${server.smtp}`;
    const subject = `curl by ${name}`;

    const { code, stderr } = await execute(
      'curl',
      [
        ...['--silent', '--show-error', '--url', url, '--insecure', '--user', `apikey:${server.key()}`],
        ...(encryption === 'STARTTLS' ? ['--ssl-reqd'] : []),
        ...['--mail-from', 'app@example.com', '--mail-rcpt', 'you@example.com', '--upload-file', '-'],
      ],
      { input: `Subject: ${subject}\r\n\r\n.dots\r\n..more\r\n.\r\nend\r\n` },
    );

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { id } = await withSubject(subject);
    const message = await raw(id);
    expect(message).toMatch(/\r\n\r\n\.dots\r\n\.\.more\r\n\.\r\nend\r\n$/);
    expect(protocolOf(message)).toBe(protocol);
  });
});

describe("Python's smtplib", () => {
  const python = (lines: string[]) =>
    execute('python3', ['-'], {
      env: { KEY: server.key(), SMTP: String(server.smtp), SMTPS: String(server.smtps) },
      input: [
        'import os, smtplib, ssl',
        'from email.message import EmailMessage',
        'context = ssl._create_unverified_context()',
        'mail = EmailMessage()',
        "mail['From'], mail['To'] = 'Büro <app@example.com>', 'you@example.com'",
        ...lines,
        "client.login('apikey', os.environ['KEY'])",
        "mail.set_content('Grüße\\n.\\nEnde\\n')",
        'client.send_message(mail)',
        'client.quit()',
        '',
      ].join('\n'),
    });

  it('sends over STARTTLS', async () => {
    const { code, stderr } = await python([
      "mail['Subject'] = 'smtplib starttls'",
      "client = smtplib.SMTP('127.0.0.1', int(os.environ['SMTP']))",
      'client.starttls(context=context)',
    ]);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { id, status } = await withSubject('smtplib starttls');
    expect(status).toBe('captured');
    const { stdout } = await server.run(['messages', 'show', id]);
    expect(stdout).toContain('Grüße\n.\nEnde');
  });

  it('sends over implicit TLS', async () => {
    const { code, stderr } = await python([
      "mail['Subject'] = 'smtplib ssl'",
      "client = smtplib.SMTP_SSL('127.0.0.1', int(os.environ['SMTPS']), context=context)",
    ]);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect((await withSubject('smtplib ssl')).status).toBe('captured');
  });
});

describe('nodemailer', () => {
  it.each([
    ['STARTTLS', false],
    ['implicit TLS', true],
  ])('sends over %s, with an attachment that can be seen', async (_name, secure) => {
    const transport = createTransport({
      ...{ host: '127.0.0.1', port: secure ? server.smtps : server.smtp, secure, requireTLS: !secure },
      ...{ auth: { user: 'apikey', pass: server.key() }, tls: { rejectUnauthorized: false } },
    });
    const { response } = await transport.sendMail({
      ...{ from: 'app@example.com', to: 'you@example.com', bcc: 'hidden@example.com', subject: 'nodemailer ✓' },
      ...{ text: 'See the attachment.', attachments: [{ filename: 'report.csv', content: 'a,b\n1,2\n' }] },
    });
    transport.close();

    const id = queueId(response);
    expect(await show(id)).toMatchObject({
      subject: expect.stringContaining('nodemailer') as string,
      recipients: [{ address: 'you@example.com' }, { address: 'hidden@example.com' }],
    });
    const { stdout } = await server.run(['messages', 'show', id]);
    expect(stdout).toContain('See the attachment.');
    expect(stdout).toMatch(/report\.csv/);
    expect(await raw(id)).not.toContain('hidden@example.com');
  });

  it('keeps one connection for many mails', async () => {
    const transport = createTransport({
      ...{ pool: true, maxConnections: 1, host: '127.0.0.1', port: server.smtp },
      ...{ auth: { user: 'apikey', pass: server.key() }, tls: { rejectUnauthorized: false } },
    });
    const sent = await Promise.all(
      Array.from({ length: 20 }, () =>
        transport.sendMail({ from: 'app@example.com', to: 'you@example.com', text: 'x' }),
      ),
    );
    transport.close();

    expect(new Set(sent.map(({ response }) => queueId(response))).size).toBe(20);
  });
});

describe('a session typed by hand', () => {
  it('sends from this machine without TLS', async () => {
    const dialogue = await openDialogue(server.smtp);
    const replies = [dialogue.greeting, await dialogue.line('HELO typed.test')];
    replies.push(await dialogue.line('AUTH LOGIN'));
    replies.push(await dialogue.line(Buffer.from('apikey').toString('base64')));
    replies.push(await dialogue.line(Buffer.from(server.key()).toString('base64')));
    for (const line of ['mail from:<app@example.com>', 'rcpt to:<you@example.com>', 'data'])
      replies.push(await dialogue.line(line));
    replies.push(await dialogue.line('Subject: typed\r\n\r\nby hand\r\n.'), await dialogue.line('quit'));

    expect(replies).toEqual([
      expect.stringMatching(/^220 \S+ ESMTP Postern$/),
      expect.stringMatching(/^250 /),
      '334 VXNlcm5hbWU6',
      '334 UGFzc3dvcmQ6',
      '235 2.7.0 Authentication successful',
      expect.stringMatching(/^250 2\.1\.0 /),
      expect.stringMatching(/^250 2\.1\.5 /),
      expect.stringMatching(/^354 /),
      expect.stringMatching(/^250 2\.6\.0 Ok: queued as [\w-]{22}$/),
      expect.stringMatching(/^221 2\.0\.0 /),
    ]);
    expect(await raw(queueId(replies.at(-2)!))).toMatch(/\r\nSubject: typed\r\n\r\nby hand\r\n$/);
  });
});
