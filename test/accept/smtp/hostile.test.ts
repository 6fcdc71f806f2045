// Clients that stall, flood, vanish or say everything at once: each has a bound, is told why, and leaves nothing.
import { connect } from 'node:net';
import { openDialogue, type Dialogue } from '../../support/dialogue.js';
import { until } from '../../support/until.js';
import { queueId, startTestWorker, submit, type TestWorker } from '../../support/worker.js';
import { WRONG_ENDS } from '../../support/wrong-ends.js';

const MESSAGE = 'From: a@example.com\r\nSubject: x\r\n\r\nbody\r\n';
const TRANSACTION = `MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n`;

let patient: TestWorker;
let hasty: TestWorker;
const keys = new Map<TestWorker, string>();

beforeAll(async () => {
  patient = await startTestWorker({ env: { POSTERN_SMTP_MAX_COMMANDS: '20' } });
  hasty = await startTestWorker({
    env: {
      POSTERN_SMTP_IDLE_TIMEOUT_SECONDS: '1',
      POSTERN_SMTP_LOGIN_TIMEOUT_SECONDS: '2',
      POSTERN_SMTP_TRANSACTION_TIMEOUT_SECONDS: '2',
      POSTERN_SMTP_DATA_TIMEOUT_SECONDS: '3',
    },
  });
  for (const worker of [patient, hasty]) keys.set(worker, (await worker.mint()).key);
});
afterAll(() => Promise.all([patient.stop(), hasty.stop()]));

const session = (worker: TestWorker): Promise<Dialogue> => worker.logIn(keys.get(worker)!);

/** Sends an octet now and then until the server speaks. @returns what it says. */
async function trickled(dialogue: Dialogue, octet = 'x'): Promise<string> {
  const timer = setInterval(() => dialogue.send(octet), 50);
  return dialogue.reply().finally(() => clearInterval(timer));
}

const isEmpty = async (worker: TestWorker): Promise<boolean> =>
  /^postern_smtp_connections 0$/m.test(await worker.metrics.registry.metrics());

describe('clients that talk before the greeting', () => {
  test.each([
    ['a command', 'EHLO x\r\n'],
    ['a line that is too long', `NOOP ${'x'.repeat(30_000)}\r\nEHLO x\r\n`],
    ['a line that is no command', 'x\nEHLO x\r\n'],
  ])('with %s are told so, and get no greeting and nobody waits for them', async (_what, said) => {
    const socket = connect(patient.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    // Before the connection is made: it goes out with it.
    socket.write(said);
    const other = await openDialogue(patient.port);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(received).toMatch(/^421 4\.7\.0 postern\.test [^\n]*\r\n$/);
    expect(other.greeting).toMatch(/^220 /);
    await other.close();
  });
});

describe('time', () => {
  test('a command that trickles in is cut off like silence', async () => {
    const dialogue = await session(hasty);
    expect(await trickled(dialogue)).toBe('421 4.4.2 postern.test Timeout, closing the connection');
    await dialogue.closed;
  });

  test('a client that talks but never logs in is cut off', async () => {
    const dialogue = await openDialogue(hasty.port);
    const timer = setInterval(() => dialogue.send('NOOP\r\n'), 200);
    const reply = await until('the end', async () => {
      const next = await dialogue.reply();
      return next.startsWith('421') && next;
    }).finally(() => clearInterval(timer));
    expect(reply).toBe('421 4.7.0 postern.test No authentication within 2 seconds');
  });

  test('a transaction that goes on and on is cut off', async () => {
    const dialogue = await session(hasty);
    await dialogue.line('MAIL FROM:<a@example.com>');
    const timer = setInterval(() => dialogue.send('NOOP\r\n'), 200);
    const reply = await until('the end', async () => {
      const next = await dialogue.reply();
      return next.startsWith('421') && next;
    }).finally(() => clearInterval(timer));
    expect(reply).toBe('421 4.4.2 postern.test Transaction not complete within 2 seconds');
  });

  test('a message that trickles in is cut off, and nothing of it is kept', async () => {
    const dialogue = await session(hasty);
    dialogue.send(TRANSACTION);
    for (let replies = 0; replies < 3; replies++) await dialogue.reply();
    expect(await trickled(dialogue)).toMatch(/^421 4\.4\.2 postern\.test (Transaction|Message) not /);
    await dialogue.closed;
    expect(await hasty.desk.list(10)).toEqual([]);
  });

  test.each(['port', 'securePort'] as const)('a TLS handshake that stalls on %s ends', async (port) => {
    const socket = connect(hasty[port], '127.0.0.1');
    socket.on('error', () => {});
    if (port === 'port') socket.write('EHLO x\r\nSTARTTLS\r\n');
    socket.resume();
    const timer = setInterval(() => socket.writable && socket.write(Buffer.from([0x16])), 100);
    await new Promise((resolve) => socket.once('close', resolve)).finally(() => clearInterval(timer));
    await until('nothing left', () => isEmpty(hasty));
  });
});

describe('floods', () => {
  test.each(['NOOP', 'RSET', 'VRFY x', 'HELP', 'EHLO x'])('of %s end with 421', async (command) => {
    const dialogue = await session(patient);
    dialogue.send(`${command}\r\n`.repeat(40));
    const replies: string[] = [];
    while (!replies.at(-1)?.startsWith('421')) replies.push(await dialogue.reply());
    expect(replies.at(-1)).toBe('421 4.7.0 postern.test More than 20 commands without a message');
    expect(replies.length).toBeLessThanOrEqual(21);
    await dialogue.closed;
  });

  test('a message that is accepted begins the count anew', async () => {
    const dialogue = await session(patient);
    for (let round = 0; round < 4; round++) {
      for (let count = 0; count < 10; count++) expect(await dialogue.line('NOOP')).toMatch(/^250 /);
      queueId(await submit(dialogue, MESSAGE));
    }
    await dialogue.close();
  });
});

describe('everything at once', () => {
  test('a client that says all and shuts down its side gets every reply, and its message is kept', async () => {
    const auth = Buffer.from(`\0apikey\0${keys.get(patient)}`).toString('base64');
    const socket = connect(patient.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    await until('the greeting', () => received.startsWith('220 '));
    socket.end(`EHLO x\r\nAUTH PLAIN ${auth}\r\n${TRANSACTION}${MESSAGE}.\r\nNOOP\r\n`);
    await new Promise((resolve) => socket.once('close', resolve));
    const last = received.trimEnd().split('\r\n').slice(-6);
    expect(last.map((line) => line.slice(0, 3))).toEqual(['235', '250', '250', '354', '250', '250']);
    expect(await patient.desk.body(queueId(last[4]!))).toBeDefined();
    await until('nothing left', () => isEmpty(patient));
  });

  test('MAIL that is refused takes the rest of its group with it', async () => {
    const dialogue = await session(patient);
    dialogue.send('MAIL FROM:<bad>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nNOOP\r\n');
    const codes = [];
    for (let replies = 0; replies < 4; replies++) codes.push((await dialogue.reply()).slice(0, 3));
    expect(codes).toEqual(['501', '503', '503', '250']);
    await dialogue.close();
  });

  test.each([
    ['at once', ''],
    ['while a message before it is stored', `AUTH <key>\r\n${TRANSACTION}${MESSAGE}.\r\n`],
  ])('a client that says STARTTLS and shuts down its side %s is gone', async (_when, before) => {
    const auth = `PLAIN ${Buffer.from(`\0apikey\0${keys.get(patient)}`).toString('base64')}`;
    const socket = connect(patient.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    await until('the greeting', () => received.startsWith('220 '));
    socket.end(`EHLO x\r\n${before.replace('<key>', auth)}STARTTLS\r\n`);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(received).toMatch(/\r\n220 2\.0\.0 [^\n]*\r\n$/);
    await until('nothing left', () => isEmpty(patient));
  });

  test('what stands behind STARTTLS in the clear is never answered', async () => {
    const dialogue = await openDialogue(patient.port);
    await dialogue.ehlo();
    dialogue.send(`STARTTLS\r\n${'RSET\r\n'.repeat(400)}MAIL FROM:<a@exam`);
    expect(await dialogue.reply()).toMatch(/^220 /);
    await dialogue.encrypt({});
    expect(await dialogue.line('NOOP')).toBe('250 2.0.0 Ok');
    expect(await dialogue.line('MAIL FROM:<a@example.com>')).toMatch(/^503 5\.5\.1 /);
    await dialogue.close();
  });

  test.each(WRONG_ENDS.filter((end) => !end.includes('\0')))('%j does not end a message', async (end) => {
    const dialogue = await session(patient);
    dialogue.send(`${TRANSACTION}${MESSAGE}${end}MAIL FROM:<evil@example.com>\r\n`);
    for (let replies = 0; replies < 3; replies++) await dialogue.reply();
    const id = queueId(await dialogue.line('\r\n.'));
    const body = (await patient.desk.body(id))!.toString();
    expect(body).toContain('MAIL FROM:<evil@example.com>');
    expect(body.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    await dialogue.close();
  });
});

describe('clients that vanish', () => {
  test.each(['EHLO x', 'AUTH LOGIN\r\n', 'STARTTLS\r\n', TRANSACTION, `${TRANSACTION}half`])(
    'behind %j leave nothing',
    async (text) => {
      const dialogue = await session(patient);
      const before = (await patient.desk.list(1000)).length;
      dialogue.send(text);
      await dialogue.close();
      await until('nothing left', () => isEmpty(patient));
      expect(await patient.desk.list(1000)).toHaveLength(before);
    },
  );
});
