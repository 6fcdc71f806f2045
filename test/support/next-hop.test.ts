import { X509Certificate } from 'node:crypto';
import { makeCertificate } from './certificate.js';
import { openDialogue, type Dialogue, type DialogueOptions } from './dialogue.js';
import { startNextHop, type NextHop, type NextHopOptions } from './next-hop.js';
import { fc, runs } from './properties.js';

const opened: (() => Promise<void>)[] = [];
let certificate: { key: string; cert: string };

beforeAll(async () => {
  certificate = await makeCertificate();
});

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function start(options?: NextHopOptions): Promise<NextHop> {
  const hop = await startNextHop(options);
  opened.push(() => hop.stop());
  return hop;
}

async function dial(hop: NextHop, options?: DialogueOptions): Promise<Dialogue> {
  const dialogue = await openDialogue(hop.port, options);
  opened.push(() => dialogue.close());
  return dialogue;
}

async function envelope(dialogue: Dialogue): Promise<void> {
  await dialogue.ehlo();
  await dialogue.line('MAIL FROM:<a@from.test>');
  await dialogue.line('RCPT TO:<b@to.test>');
  await dialogue.line('DATA');
}

/** Cuts `bytes` at the given places, each a fraction of the whole, and sends the pieces one by one. */
async function sendInPieces(dialogue: Dialogue, bytes: Buffer, cuts: number[]): Promise<void> {
  const places = cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b);
  for (const [index, end] of [...places, bytes.length].entries()) {
    dialogue.send(bytes.subarray(places[index - 1] ?? 0, end));
    await new Promise(setImmediate);
  }
}

/** As a strict client does it: a dot more for every line that begins with one, and only CRLF begins a line. */
function stuff(message: string): Buffer {
  const stuffed = `\r\n${message}`.replaceAll('\r\n.', '\r\n..').slice(2);
  return Buffer.from(`${stuffed}.\r\n`, 'latin1');
}

describe('the fake next hop', () => {
  it('records a message and its envelope exactly', async () => {
    const hop = await start();
    const dialogue = await dial(hop);

    expect(dialogue.greeting).toBe('220 next-hop.test ESMTP');
    expect(await dialogue.ehlo()).toEqual([
      'PIPELINING',
      '8BITMIME',
      'SMTPUTF8',
      'SIZE 50000000',
      'ENHANCEDSTATUSCODES',
    ]);
    expect(await dialogue.line('MAIL FROM:<"a> b"@from.test> BODY=8BITMIME SIZE=12')).toMatch(/^250 /);
    expect(await dialogue.line('RCPT TO:<ü@to.test> NOTIFY=NEVER')).toMatch(/^250 /);
    expect(await dialogue.line('RCPT TO:<c@to.test>')).toMatch(/^250 /);
    expect(await dialogue.line('DATA')).toMatch(/^354 /);
    expect(await dialogue.line('Subject: x\r\n\r\nbody\r\n.')).toMatch(/^250 /);

    expect(hop.messages).toEqual([
      {
        mailFrom: '"a> b"@from.test',
        mailParams: 'BODY=8BITMIME SIZE=12',
        recipients: ['ü@to.test', 'c@to.test'],
        rcptParams: ['NOTIFY=NEVER', ''],
        data: Buffer.from('Subject: x\r\n\r\nbody\r\n'),
        session: 1,
        authUser: undefined,
        tls: false,
        reply: '250 2.0.0 message ok',
      },
    ]);
  });

  it('keeps every byte, wherever the chunks end', async () => {
    const hop = await start();
    const dialogue = await dial(hop);
    await dialogue.ehlo();
    const commands = Buffer.from('MAIL FROM:<a@from.test>\r\nRCPT TO:<b@to.test>\r\nDATA\r\n');
    const piece = fc.constantFrom('.', '\r\n', '\r\n.', '\r', '\n', '\n.\n', '\r\n.\n', 'x', '\0', '\xff');
    const message = fc.array(piece, { maxLength: 30 }).map((pieces) => [...pieces, '\r\n'].join(''));
    const cut = fc.double({ min: 0, max: 1, noNaN: true });

    await fc.assert(
      fc.asyncProperty(fc.oneof(message, fc.constant('')), fc.array(cut, { maxLength: 8 }), async (text, cuts) => {
        const before = hop.messages.length;

        await sendInPieces(dialogue, Buffer.concat([commands, stuff(text)]), cuts);
        for (const code of ['250', '250', '354', '250']) expect(await dialogue.reply()).toMatch(code);

        expect(hop.messages).toHaveLength(before + 1);
        expect(hop.messages.at(-1)?.data.toString('latin1')).toBe(text);
      }),
      runs(300),
    );
  });

  it('keeps a message of many megabytes', async () => {
    const hop = await start();
    const dialogue = await dial(hop);
    const text = '.a line that is stuffed\r\nand one that is not\r\n'.repeat(200_000);
    await envelope(dialogue);

    dialogue.send(stuff(text));

    expect(await dialogue.reply()).toMatch(/^250/);
    expect(hop.messages[0]?.data.equals(Buffer.from(text))).toBe(true);
  });

  it('answers pipelined commands in order, several messages of them', async () => {
    const hop = await start();
    const dialogue = await dial(hop);
    const transaction = 'MAIL FROM:<>\r\nRCPT TO:<b@to.test>\r\nDATA\r\n..dot\r\n.\r\n';

    dialogue.send(`EHLO x\r\n${transaction}${transaction}QUIT\r\n`);
    const replies: string[] = [];
    for (let count = 0; count < 10; count++) replies.push(await dialogue.reply());
    await dialogue.closed;

    expect(replies.map((reply) => reply.slice(0, 3)).join(' ')).toBe('250 250 250 354 250 250 250 354 250 221');
    expect(hop.messages.map(({ data }) => data.toString())).toEqual(['.dot\r\n', '.dot\r\n']);
  });

  it('takes nothing but CRLF.CRLF as the end of a message', async () => {
    const hop = await start();
    const dialogue = await dial(hop, { timeoutMs: 50 });
    await envelope(dialogue);

    await expect(dialogue.line('x\n.\n\r\n.\n\n.\r\nr')).rejects.toThrow('no reply in 50 ms');
    expect(hop.messages).toHaveLength(0);
    expect(await dialogue.line('.')).toMatch(/^250/);
    expect(hop.messages[0]?.data.toString()).toBe('x\n.\n\r\n\n\n.\r\nr\r\n');
  });

  it('refuses commands out of order', async () => {
    const dialogue = await dial(await start());

    expect(await dialogue.line('MAIL FROM:<a@from.test>')).toMatch(/^503/);
    await dialogue.ehlo();
    expect(await dialogue.line('RCPT TO:<b@to.test>')).toMatch(/^503/);
    expect(await dialogue.line('MAIL FROM: <a@from.test>')).toMatch(/^501/);
    expect(await dialogue.line('MAIL FROM:<a@from.test>')).toMatch(/^250/);
    expect(await dialogue.line('DATA')).toMatch(/^503/);
    expect(await dialogue.line('MAIL FROM:<a@from.test>')).toMatch(/^503/);
    expect(await dialogue.line('RSET')).toMatch(/^250/);
    expect(await dialogue.line('MAIL FROM:<a@from.test>')).toMatch(/^250/);
    expect(await dialogue.line('BDAT 5 LAST')).toMatch(/^500/);
  });

  it('waits for a number of messages, and says how many came when it waited in vain', async () => {
    const hop = await start();
    const dialogue = await dial(hop);
    const waiting = hop.waitForMessages(1);
    await envelope(dialogue);

    dialogue.send(stuff('one\r\n'));

    expect(await waiting).toHaveLength(1);
    await expect(hop.waitForMessages(2, 20)).rejects.toThrow('1 of 2 messages came in 20 ms');
  });
});

describe('encryption and credentials of the fake next hop', () => {
  it('upgrades by STARTTLS, starts afresh, and shows the certificate', async () => {
    const hop = await start({ tls: certificate });
    const dialogue = await dial(hop);
    let presented = '';

    expect(await dialogue.ehlo()).toContain('STARTTLS');
    const reply = await dialogue.startTls({
      rejectUnauthorized: true,
      ca: certificate.cert,
      checkServerIdentity: (_host, { raw }) => void (presented = new X509Certificate(raw).publicKey.asymmetricKeyType!),
    });
    expect(reply).toMatch(/^220/);
    expect(presented).toBe('ec');
    expect(await dialogue.line('MAIL FROM:<a@from.test>')).toMatch(/^503/);
    await envelope(dialogue);
    await dialogue.line('.');

    expect(await dialogue.line('STARTTLS')).toMatch(/^502/);
    expect(hop.messages).toMatchObject([{ tls: true, data: Buffer.alloc(0) }]);
  });

  it('throws away what was sent in clear behind STARTTLS', async () => {
    const dialogue = await dial(await start({ tls: certificate }));

    dialogue.send('STARTTLS\r\nRSET\r\n');
    await dialogue.reply();
    await dialogue.encrypt({});

    expect(await dialogue.ehlo()).toContain('PIPELINING');
  });

  it('speaks TLS from the first byte when asked to', async () => {
    const hop = await start({ tls: certificate, implicitTls: true });
    const dialogue = await dial(hop, { tls: true });

    expect(hop.url).toBe(`smtps://127.0.0.1:${hop.port}`);
    expect(await dialogue.ehlo()).not.toContain('STARTTLS');
  });

  it('takes mail only after AUTH with the right credentials, PLAIN and LOGIN', async () => {
    const hop = await start({ auth: { user: 'me', pass: 'pÄss' } });
    const plain = await dial(hop);
    const login = await dial(hop);

    expect(await plain.ehlo()).toContain('AUTH PLAIN LOGIN');
    expect(await plain.line('MAIL FROM:<a@from.test>')).toMatch(/^530/);
    expect(await plain.authPlain('me', 'wrong')).toMatch(/^535/);
    expect(await plain.line('AUTH CRAM-MD5')).toMatch(/^501/);
    expect(await plain.authPlain('me', 'pÄss')).toMatch(/^235/);
    await login.ehlo();
    expect(await login.authLogin('you', 'pÄss')).toMatch(/^535/);
    expect(await login.authLogin('me', 'pÄss')).toMatch(/^235/);
    for (const dialogue of [plain, login]) {
      await envelope(dialogue);
      await dialogue.line('.');
    }

    expect(hop.messages.map(({ authUser }) => authUser)).toEqual(['me', 'me']);
  });
});

describe('the script of the fake next hop', () => {
  it('is asked at every stage, with what is known by then', async () => {
    const asked: unknown[] = [];
    const hop = await start({
      auth: { user: 'u', pass: 'p' },
      script: ({ stage, mailFrom, recipient, recipients, messageNumber, messageInSession, data }) => {
        const count = `${messageNumber}/${messageInSession}`;
        asked.push([stage, mailFrom, recipient, recipients.join(), count, data?.toString()].join(' ').trimEnd());
        return undefined;
      },
    });
    const dialogue = await dial(hop);
    await dialogue.ehlo();
    await dialogue.authPlain('u', 'p');
    await dialogue.line('MAIL FROM:<a>');
    await dialogue.line('RCPT TO:<b>');
    await dialogue.line('RCPT TO:<c>');
    await dialogue.line('DATA');
    await dialogue.line('x\r\n.');
    await dialogue.line('QUIT');

    expect(asked).toEqual([
      'connect    0/0',
      'ehlo    0/0',
      'auth    0/0',
      'mail a   1/1',
      'rcpt a b  1/1',
      'rcpt a c b 1/1',
      'data a  b,c 1/1',
      'message a  b,c 1/1 x',
      'quit    1/1',
    ]);
  });

  it('answers in its own words, and a refusal has no effect', async () => {
    const hop = await start({
      script: ({ stage, recipient, messageNumber }) => {
        if (stage === 'connect') return '220-two\n220 lines';
        if (stage === 'ehlo') return '250-mine\n250 ODD';
        if (stage === 'rcpt' && recipient === 'bad') return '550 5.1.1 no such user';
        if (stage === 'message' && messageNumber === 1) return '451 4.3.0 later';
        return undefined;
      },
    });
    const dialogue = await dial(hop);

    expect(dialogue.greeting).toBe('220-two\n220 lines');
    expect(await dialogue.ehlo()).toEqual(['ODD']);
    for (const answer of ['451 4.3.0 later', '250 2.0.0 message ok']) {
      await dialogue.line('MAIL FROM:<a>');
      expect(await dialogue.line('RCPT TO:<bad>')).toBe('550 5.1.1 no such user');
      await dialogue.line('RCPT TO:<good>');
      await dialogue.line('DATA');
      expect(await dialogue.line('.')).toBe(answer);
    }

    expect(hop.refused).toMatchObject([{ reply: '451 4.3.0 later' }]);
    expect(hop.messages).toMatchObject([{ recipients: ['good'] }]);
  });

  it('drops the connection, with or without a last word', async () => {
    const hop = await start({ script: ({ stage }) => (stage === 'message' ? { drop: true } : undefined) });
    const silent = await dial(hop);
    await envelope(silent);

    await expect(silent.line('gone\r\n.')).rejects.toThrow(/connection was closed.*354 go ahead/);
    expect(hop.messages).toMatchObject([{ data: Buffer.from('gone\r\n'), reply: undefined }]);

    hop.setScript(({ stage }) => (stage === 'mail' ? { reply: '421 4.3.2 closing', thenDrop: true } : undefined));
    const told = await dial(hop);
    await told.ehlo();
    expect(await told.line('MAIL FROM:<a>')).toBe('421 4.3.2 closing');
    await told.closed;
    expect(hop.totalConnections).toBe(2);
  });

  it('hangs without ending the connection, at the greeting too', async () => {
    const hop = await start({ script: ({ session }) => (session === 2 ? { hang: true } : undefined) });
    const first = await dial(hop);

    await expect(dial(hop, { timeoutMs: 30 })).rejects.toThrow('no reply in 30 ms; received so far: ""');
    const third = await dial(hop, { skipGreeting: true });
    hop.setScript(({ stage }) => (stage === 'data' ? { hang: true } : undefined));

    expect(await third.reply()).toMatch(/^220/);
    expect(await first.ehlo()).toContain('PIPELINING');
    expect(hop.totalConnections).toBe(3);
  });

  it('holds an answer back until the test lets it go', async () => {
    let letGo = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const hop = await start({ script: ({ stage }) => (stage === 'mail' ? { waitFor: gate } : undefined) });
    const dialogue = await dial(hop);
    await dialogue.ehlo();
    let answered = false;

    const reply = dialogue.line('MAIL FROM:<a>').finally(() => (answered = true));
    const other = await dial(hop);
    await other.ehlo();

    expect(answered).toBe(false);
    letGo();
    expect(await reply).toMatch(/^250/);
  });

  it('counts the connections that are open', async () => {
    const hop = await start();
    const dialogue = await dial(hop);
    expect(hop.connections).toBe(1);

    await dialogue.line('QUIT');
    await dialogue.closed;

    expect([hop.connections, hop.totalConnections]).toEqual([0, 1]);
  });
});
