// With relay.url, what a client sends arrives at the next hop: the same envelope, the same octets, trace fields in
// front and nothing else changed.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closedPort } from '../support/built-port.js';
import { logIn, submit, submitOnce, type Mail } from '../support/built-mail.js';
import { startPostern, temporaryFolder, type ReadyPostern } from '../support/built-server.js';
import { makeCertificate } from '../support/certificate.js';
import { startNextHop, type NextHop } from '../support/next-hop.js';
import { until } from '../support/until.js';

let hop: NextHop;
let server: ReadyPostern;
beforeAll(async () => {
  hop = await startNextHop();
  server = await startPostern({ env: { POSTERN_RELAY_URL: hop.url, POSTERN_HOSTNAME: 'mx.postern.test' } });
});
afterAll(() => hop.stop());

interface Arrival {
  /** The trace fields, unfolded. */
  trace: string[];
  /** All that follows them. */
  rest: string;
  message: NextHop['messages'][number];
}

/** Sends a mail and takes it apart at the next hop: `fields` are the names of those that Postern put in front. */
async function relayed(mail: Mail, fields = ['Received']): Promise<Arrival> {
  const before = hop.messages.length;
  await submitOnce(server.smtp, server.key(), mail);
  await hop.waitForMessages(before + 1);
  const message = hop.messages.at(-1)!;
  let rest = message.data.toString('latin1');
  const trace = fields.map((name) => {
    const field = new RegExp(`^${name}: .*\\r\\n(?:[ \\t].*\\r\\n)*`).exec(rest)?.[0];
    if (field === undefined) throw new Error(`no ${name} here: ${rest.slice(0, 500)}`);
    rest = rest.slice(field.length);
    return field.replace(/\r\n\s+/g, ' ').trim();
  });
  return { trace, rest, message };
}

const HEAD = [
  'Message-ID: <1@client.test>',
  'Date: Mon, 23 Nov 2026 12:00:00 +0100',
  'From: app@example.com',
  'To: you@example.com',
  'Subject: octets',
].join('\r\n');

/** Octets 0x01 to 0xFF without CR, LF and NUL, shuffled in the same way every time. */
function noise(length: number): string {
  let state = 12_345;
  const octet = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return 1 + ((state >> 8) % 255);
  };
  const octets = Buffer.from(Array.from({ length }, octet).map((each) => (each === 10 || each === 13 ? 46 : each)));
  return octets.toString('latin1');
}

/** Lines of at most 998 octets, as a client should send them. */
const inLines = (text: string) => text.replace(/.{900}/gs, '$&\r\n');

describe('a body arrives as it was sent', () => {
  it.each<[string, string]>([
    ['with octets of every value', `${inLines(noise(20_000))}\r\n`],
    ['in latin1, which is not UTF-8', 'Gr\xfc\xdfe aus K\xf6ln\r\n\xff\xfe\r\n'],
    ['with dots at line starts', '.\r\n..\r\n...\r\n.x\r\n x.\r\n. \r\n\t.\r\n.\r\n'],
    ['with nothing but a dot', '.\r\n'],
    ['with empty lines at both ends', '\r\n\r\nx\r\n\r\n\r\n'],
    ['with white space at line ends', 'format=flowed \r\n-- \r\n\t\r\n'],
    ['that is empty', ''],
    ['of 2 MB', `${inLines(noise(2 * 1024 * 1024))}\r\n`],
    ['in one line of 300,000 octets', `${noise(300_000)}\r\n`],
    ['that looks like SMTP', 'QUIT\r\nRSET\r\n250 ok\r\nMAIL FROM:<x@y>\r\n'],
    ['that looks like an mbox', 'From me to you\r\n>From\r\n'],
  ])('%s', async (_name, body) => {
    const data = `${HEAD}\r\n\r\n${body}`;

    const { rest } = await relayed({ data, parameters: ' BODY=8BITMIME' });

    expect(rest.length).toBe(data.length);
    expect(rest === data).toBe(true); // not toBe(data): two megabytes of difference help nobody
  });

  it('without a final newline, but for the one that SMTP ends it with', async () => {
    const data = `${HEAD}\r\n\r\nno newline here`;

    expect((await relayed({ data })).rest).toBe(`${data}\r\n`);
  });

  it('with a header block and no body at all', async () => {
    expect((await relayed({ data: `${HEAD}\r\n` })).rest).toBe(`${HEAD}\r\n`);
  });

  it('with a header that is odd, but its own affair', async () => {
    const head = `${HEAD}\r\nX-Long: ${'x'.repeat(5000)}\r\nx-folded:\r\n\tone\r\n two\r\nX-Latin: \xe9\r\nBcc: me@example.com`;

    const { rest } = await relayed({ data: `${head}\r\n\r\nbody\r\n`, parameters: ' BODY=8BITMIME' });

    expect(rest).toBe(`${head}\r\n\r\nbody\r\n`);
  });
});

describe('line ends', () => {
  it.each([
    ['a bare LF', 'one\ntwo\r\n', 'one\r\ntwo\r\n'],
    ['a bare CR', 'one\rtwo\r\n', 'one\r\ntwo\r\n'],
    ['a bare LF at the very end', 'one\n', 'one\r\n\r\n'], // SMTP itself needs the CRLF behind it
    ['a bare LF in front of a dot', 'one\n.\ntwo', 'one\r\n.\r\ntwo\r\n'],
    ['a smuggled end of data', 'one\n.\r\nMAIL FROM:<x@example.com>\r\n', 'one\r\n.\r\nMAIL FROM:<x@example.com>\r\n'],
    ['CR CR LF', 'one\r\r\ntwo\r\n', 'one\r\n\r\ntwo\r\n'],
  ])('%s becomes CRLF', async (_name, sent, expected) => {
    const { rest } = await relayed({ data: `${HEAD}\r\n\r\n${sent}` });

    expect(rest).toBe(`${HEAD}\r\n\r\n${expected}`);
  });

  it('of a header that has only LF become CRLF, and the header is read all the same', async () => {
    const { rest } = await relayed({ data: `${HEAD.replaceAll('\r\n', '\n')}\nX-SMTPAPI: {}\n\nbody\r\n` });

    expect(rest).toBe(`${HEAD}\r\n\r\nbody\r\n`);
  });
});

describe('in front of a message', () => {
  const mime = 'From: app@example.com\r\nSubject: trace\r\n\r\nbody\r\n';

  it('goes a Received field that says how it came, and nothing of the key', async () => {
    const before = hop.messages.length;
    const dialogue = await logIn(server.smtps, server.key(), { tls: true });
    const id = await submit(dialogue, { data: `${HEAD}\r\n\r\nbody\r\n` });
    await dialogue.close();
    await hop.waitForMessages(before + 1);

    const field = /^Received: [\s\S]*?\r\n(?![ \t])/.exec(hop.messages.at(-1)!.data.toString())![0];
    const text = field.replace(/\r\n\s+/g, ' ').trim();
    expect(text).toMatch(/^Received: from client\.test \(.*\[127\.0\.0\.1\]\) by mx\.postern\.test /);
    expect(text).toMatch(
      new RegExp(` with ESMTPSA id ${id}\\b.*; \\w{3}, \\d{1,2} \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d [+-]\\d{4}$`),
    );
    for (const part of server.key().split('.').slice(1)) expect(field).not.toContain(part);
    expect(field.split('\r\n').every((line) => line.length <= 998)).toBe(true);
  });

  it('goes what is missing of Message-ID and Date', async () => {
    const { trace, rest } = await relayed({ data: mime }, ['Received', 'Message-ID', 'Date']);

    expect(trace[1]).toMatch(/^Message-ID: <[^\s<>@]+@mx\.postern\.test>$/);
    expect(trace[2]).toMatch(/^Date: \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/);
    expect(rest).toBe(mime);
  });

  it('goes a Date alone when there is a Message-ID, in whatever case it is written', async () => {
    const data = `message-id: <2@client.test>\r\n${mime}`;

    expect((await relayed({ data }, ['Received', 'Date'])).rest).toBe(data);
  });

  it('goes an empty line when the message has no header, so that its text stays text', async () => {
    const { rest } = await relayed({ data: 'just text\r\n' }, ['Received', 'Message-ID', 'Date']);

    expect(rest).toBe('\r\njust text\r\n');
  });

  it('the clear connection is named as such', async () => {
    expect((await relayed({ data: mime })).trace[0]).toMatch(/ with ESMTPA id /);
  });

  it('a mail with SMTPUTF8 is named as such', async () => {
    const { trace, message } = await relayed({ data: mime, parameters: ' SMTPUTF8', to: 'you@example.com' });

    expect(trace[0]).toMatch(/ with UTF8SMTPA id /);
    expect(message.mailFrom).toBe('app@example.com');
  });
});

describe('X-SMTPAPI', () => {
  it('is removed, with its folded lines and wherever it stands', async () => {
    const field = 'X-SMTPAPI: {"category":\r\n "a",\r\n\t"unique_args":{}}';

    const { rest } = await relayed({
      data: `${field}\r\n${HEAD}\r\nx-smtpapi: {}\r\n\r\nX-SMTPAPI: stays in a body\r\n`,
    });

    expect(rest).toBe(`${HEAD}\r\n\r\nX-SMTPAPI: stays in a body\r\n`);
  });
});

describe('the envelope', () => {
  it('arrives as it was given, every recipient of it', async () => {
    const to = ['You@Example.com', '"quoted local"@example.com', "o'brien+tag@example.org"];

    const { message } = await relayed({ from: 'Bounce+1@Example.com', to, data: `${HEAD}\r\n\r\nx\r\n` });

    expect(message.mailFrom).toBe('Bounce+1@Example.com');
    expect(message.recipients).toEqual(to);
  });

  it('may have the null sender', async () => {
    expect((await relayed({ from: '' })).message.mailFrom).toBe('');
  });

  it('keeps BODY=8BITMIME', async () => {
    const { message } = await relayed({ parameters: ' BODY=8BITMIME' });

    expect(message.mailParams).toContain('BODY=8BITMIME');
  });

  it('may have an address that is not ASCII, with SMTPUTF8', async () => {
    const dialogue = await logIn(server.smtp, server.key());
    const before = hop.messages.length;
    dialogue.send(Buffer.from('MAIL FROM:<büro@example.com> SMTPUTF8\r\nRCPT TO:<grüße@bücher.example>\r\nDATA\r\n'));
    const replies = [await dialogue.reply(), await dialogue.reply(), await dialogue.reply()];
    replies.push(await dialogue.line('Subject: x\r\n\r\nx\r\n.'));
    await dialogue.close();

    expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['250', '250', '354', '250']);
    await hop.waitForMessages(before + 1);
    expect(hop.messages.at(-1)).toMatchObject({ mailFrom: 'büro@example.com', recipients: ['grüße@bücher.example'] });
  });
});

describe('a second relay, behind one that is down', () => {
  it('gets the mail, over TLS that checks and with its login, and the password is not shown', async () => {
    const auth = { user: 'relay@example.com', pass: 'p@ss:w%rd' };
    const pair = await makeCertificate();
    const secure = await startNextHop({ tls: pair, auth });
    const authority = join(temporaryFolder(), 'authority.pem');
    writeFileSync(authority, pair.cert);
    try {
      const login = `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.pass)}`;
      const urls = `smtp://127.0.0.1:${await closedPort()}, smtp://${login}@127.0.0.1:${secure.port}?tls=required`;
      const relaying = await startPostern({ env: { POSTERN_RELAY_URL: urls, NODE_EXTRA_CA_CERTS: authority } });
      const id = await submitOnce(relaying.smtp, relaying.key());

      const [message] = await secure.waitForMessages(1);
      expect(message).toMatchObject({ authUser: auth.user, tls: true });
      const status = async () => (await relaying.json<{ status: string }>(['messages', 'show', id])).status;
      expect(await until('delivered', async () => (await status()) === 'delivered')).toBe(true);
      expect(relaying.stdout() + relaying.stderr()).not.toMatch(/p@ss|p%40ss/);
    } finally {
      await secure.stop();
    }
  });
});
