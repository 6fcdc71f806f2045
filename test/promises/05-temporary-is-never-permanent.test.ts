// Promise 5: every fault class has its reply class, towards the client and in what becomes of a recipient.
import { ask } from '../support/contract.js';
import { refusals } from '../../src/message/refusal.js';
import { openDialogue } from '../support/dialogue.js';
import { startNextHop, type NextHop } from '../support/next-hop.js';
import type { HopEvent, Script } from '../support/next-hop-script.js';
import { until } from '../support/until.js';
import { queueId, startTestWorker, stuffed, submit, type TestWorker } from '../support/worker.js';

describe('towards the client', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startTestWorker({ env: { POSTERN_REDIS_COMMAND_TIMEOUT_SECONDS: '1' } });
  });
  afterAll(() => worker.stop());

  test('a lost Redis is 454 at AUTH, 451 at MAIL and at the end of DATA, 503 for /readyz, and all comes back', async () => {
    const { key } = await worker.mint();
    const early = await worker.logIn(key);
    const inData = await worker.logIn(key);
    await inData.line('MAIL FROM:<a@example.com>');
    await inData.line('RCPT TO:<b@example.com>');
    await inData.line('DATA');
    await worker.redis.kill();
    inData.send(stuffed(Buffer.from('Subject: x\r\n\r\n')));
    expect(await inData.reply()).toMatch(/^451 4\.3\.0 /);
    expect(await early.line('MAIL FROM:<a@example.com>')).toMatch(/^451 4\.3\.0 /);
    const late = await openDialogue(worker.port);
    await late.ehlo();
    expect(await late.authPlain('apikey', key)).toBe('454 4.7.0 Temporary authentication failure');
    expect((await ask(worker.httpUrl, '/readyz')).status).toBe(503);
    expect((await ask(worker.httpUrl, '/healthz')).status).toBe(200);
    await worker.redis.start();
    await until('AUTH works again', async () => (await late.authPlain('apikey', key)).startsWith('235'));
    expect(await submit(early, 'Subject: back\r\n\r\n')).toMatch(/^250 2\.6\.0 /);
    await until('/readyz is 200', async () => (await ask(worker.httpUrl, '/readyz')).status === 200);
    await Promise.all([early.close(), inData.close(), late.close()]);
  });

  test('a Redis that hangs is temporary too, within its time', async () => {
    const { key } = await worker.mint();
    const dialogue = await worker.logIn(key);
    process.kill(worker.redis.pid, 'SIGSTOP');
    try {
      expect(
        await until('451', async () => {
          const reply = await dialogue.line('MAIL FROM:<a@example.com>');
          if (reply.startsWith('250')) await dialogue.line('RSET');
          return !reply.startsWith('250') && reply;
        }),
      ).toMatch(/^451 4\.3\.0 /);
    } finally {
      process.kill(worker.redis.pid, 'SIGCONT');
    }
    await dialogue.close();
  });

  test('in the table, 4yz and 5yz go with 4.x and 5.x, and faults of the server are 4yz', () => {
    for (const [reason, { code, enhanced }] of Object.entries(refusals)) {
      expect([reason, enhanced[0]]).toEqual([reason, String(code)[0]]);
    }
    for (const reason of [
      'storage-full',
      'storage-away',
      'internal-error',
      'auth-unavailable',
      'shutting-down',
    ] as const) {
      expect(refusals[reason].code).toBeLessThan(500);
      expect(refusals[reason].http).toBeGreaterThanOrEqual(500);
    }
  });
});

describe('towards the recipient', () => {
  let hop: NextHop;
  let worker: TestWorker;
  beforeAll(async () => {
    hop = await startNextHop();
    worker = await startTestWorker({
      env: {
        POSTERN_RELAY_URL: hop.url,
        POSTERN_DELIVERY_REPLY_TIMEOUT_SECONDS: '1',
        POSTERN_DELIVERY_CONNECT_TIMEOUT_SECONDS: '1',
      },
    });
  });
  afterAll(async () => {
    await worker.stop();
    await hop.stop();
  });

  const at = (stage: HopEvent['stage'], action: ReturnType<Script>): Script => {
    return (event) => (event.stage === stage ? action : undefined);
  };

  test.each<[string, string, Script, string, boolean]>([
    ['a refused connection (greeting 554)', 'pending', at('connect', '554 5.3.2 not now'), '554', false],
    ['a busy greeting', 'pending', at('connect', '421 4.3.2 busy'), '421', false],
    ['a silent greeting', 'pending', at('connect', { hang: true }), '', false],
    ['a drop at connect', 'pending', at('connect', { drop: true }), '', false],
    ['MAIL refused for now', 'pending', at('mail', '451 4.3.0 later'), '451 4.3.0', false],
    ['MAIL refused for good', 'failed', at('mail', '550 5.7.1 no'), '550 5.7.1', false],
    ['RCPT refused for now', 'pending', at('rcpt', '450 4.2.0 later'), '450 4.2.0', false],
    ['RCPT refused for good', 'failed', at('rcpt', '550 5.1.1 nobody'), '550 5.1.1', false],
    ['421 at RCPT', 'pending', at('rcpt', { reply: '421 4.3.2 going down', thenDrop: true }), '', false],
    ['DATA refused for now', 'pending', at('data', '451 4.3.0 no'), '451', false],
    ['DATA refused for good', 'failed', at('data', '554 5.5.1 no'), '554', false],
    ['message refused for now', 'pending', at('message', '451 4.7.0 later'), '451 4.7.0', false],
    ['message refused for good', 'failed', at('message', '554 5.7.1 spam'), '554 5.7.1', false],
    ['a code that is none', 'pending', at('message', '999 what'), 'not an SMTP reply', false],
    ['nonsense', 'pending', at('message', 'hello world'), 'connection lost before the final reply', true],
    ['a drop at MAIL', 'pending', at('mail', { drop: true }), '', false],
    ['a hang at RCPT', 'pending', at('rcpt', { hang: true }), '', false],
    [
      'a drop after the final dot',
      'pending',
      at('message', { drop: true }),
      'connection lost before the final reply',
      true,
    ],
    [
      'a hang after the final dot',
      'pending',
      at('message', { hang: true }),
      'connection lost before the final reply',
      true,
    ],
  ])('%s leaves the recipient %s', async (_name, state, script, words, doubt) => {
    hop.setScript(script);
    const { key } = await worker.mint();
    const dialogue = await worker.logIn(key);
    const id = queueId(await submit(dialogue, 'Subject: x\r\n\r\n'));
    const stored = await until('an attempt', async () => {
      const message = await worker.desk.find(id);
      return message!.recipients[0]!.attempts > 0 && message;
    });
    const [recipient] = stored.recipients;
    expect({ state: recipient!.state, inDoubt: recipient!.inDoubt > 0 }).toEqual({ state, inDoubt: doubt });
    expect(recipient!.reply).toContain(words);
    expect(stored.retryAt > 0).toBe(state === 'pending');
    await worker.desk.cancel(id, Date.now());
    await dialogue.close();
  });

  test('a message that is older than the give-up time fails with the last words it met', async () => {
    hop.setScript(at('mail', '451 4.3.0 never today'));
    const hasty = await startTestWorker({
      env: {
        POSTERN_RELAY_URL: hop.url,
        POSTERN_DELIVERY_GIVE_UP_HOURS: '0.0001',
        POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1',
      },
    });
    const { key } = await hasty.mint();
    const dialogue = await hasty.logIn(key);
    const id = queueId(await submit(dialogue, 'Subject: x\r\n\r\n'));
    const line = await hasty.log.line('message failed', (each) => each.id === id);
    expect(line.reply).toBe('given up: 451 4.3.0 never today');
    await dialogue.close();
    await hasty.stop();
  });
});
