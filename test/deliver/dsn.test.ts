// The DSN extension from end to end: what a client asks (RFC 3461) is kept for each recipient, honoured, and passed on
// where the next hop offers it too.
import type { TestWorker } from '../support/worker.js';
import { startNextHop, type NextHop, type NextHopOptions } from '../support/next-hop.js';
import { until } from '../support/until.js';
import { queueId, startTestWorker } from '../support/worker.js';

const DSN_HOP = { extensions: ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN'] };

let hop: NextHop;
let worker: TestWorker;

async function start(options: NextHopOptions, env: Record<string, string> = {}): Promise<void> {
  hop = await startNextHop(options);
  worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url, ...env } });
}

afterEach(async () => {
  await worker.stop();
  await hop.stop();
});

/** Sends with these parameters. @returns the queue id. */
async function send(mail: string, recipients: string[]): Promise<string> {
  const dialogue = await worker.logIn((await worker.mint()).key);
  expect(await dialogue.line(`MAIL FROM:<app@example.com>${mail}`)).toMatch(/^250 /);
  for (const recipient of recipients) expect(await dialogue.line(`RCPT TO:${recipient}`)).toMatch(/^250 /);
  await dialogue.line('DATA');
  const id = queueId(await dialogue.line('Subject: asked\r\n\r\nbody\r\n.'));
  await dialogue.close();
  return id;
}

const ended = (id: string) =>
  until('the message has ended', async () => {
    const message = await worker.desk.find(id);
    return message && message.doneAt > 0 && message;
  });

test('EHLO offers it, and what was asked is passed on for each recipient alone', async () => {
  await start(DSN_HOP);
  const id = await send(' RET=hdrs ENVID=a+20b+2Bc', [
    '<one@example.com> NOTIFY=success,FAILURE ORCPT=rfc822;One+2B1@Example.com',
    '<two@example.com> NOTIFY=NEVER',
    '<three@example.com>',
  ]);
  const [message] = await hop.waitForMessages(1);
  expect(message!.mailParams).toMatch(/ ?RET=HDRS ENVID=a\+20b\+2Bc$/);
  expect(message!.rcptParams).toEqual(['NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;One+2B1@Example.com', 'NOTIFY=NEVER', '']);
  // The next hop reports the delivery itself.
  expect((await ended(id)).events.map(({ type }) => type)).toEqual(['delivered']);
  expect(hop.messages).toHaveLength(1);
});

test('a next hop without DSN hears nothing of it, and a delivery that was asked about is reported as relayed', async () => {
  await start({});
  const id = await send(' RET=FULL ENVID=order-7', [
    '<one@example.com> NOTIFY=SUCCESS ORCPT=rfc822;alias@example.com',
    '<two@example.com>',
    '<three@example.com> NOTIFY=NEVER',
  ]);
  const messages = await hop.waitForMessages(2);
  const original = messages.find(({ mailFrom }) => mailFrom !== '')!;
  expect([original.mailParams, ...original.rcptParams].join()).not.toMatch(/RET|ENVID|NOTIFY|ORCPT/);
  const report = messages.find(({ mailFrom }) => mailFrom === '')!.data.toString();
  expect(report).toMatch(
    /Original-Envelope-Id: order-7\r\n[^]*Original-Recipient: rfc822; alias@example.com\r\nFinal-Recipient: rfc822; one@example.com\r\nAction: relayed\r\nStatus: 2\./,
  );
  expect(report).not.toMatch(/two@|three@|\r\nbody\r\n/);
  expect((await ended(id)).events.map(({ type }) => type)).toEqual(['delivered', 'reported']);
});

test('a failure is reported only where the sender wants to hear of it, with the whole message if it was asked for', async () => {
  await start({ script: ({ stage }) => (stage === 'rcpt' ? '550 5.1.1 no such user' : undefined) });
  const silent = await send('', ['<one@example.com> NOTIFY=NEVER', '<two@example.com> NOTIFY=SUCCESS,DELAY']);
  expect((await ended(silent)).events.map(({ type }) => type)).toEqual(['failed']);
  hop.setScript(({ stage, recipient }) =>
    recipient === 'nobody@example.com' && stage === 'rcpt' ? '550 no' : undefined,
  );
  await send(' RET=FULL', ['<nobody@example.com> NOTIFY=FAILURE', '<other@example.com> NOTIFY=NEVER']);
  const messages = await hop.waitForMessages(2);
  const report = messages.find(({ mailFrom }) => mailFrom === '')!.data.toString();
  expect(report).toMatch(/Action: failed[^]*Content-Type: message\/rfc822[^]*\r\nbody\r\n/);
  expect(report).not.toContain('Final-Recipient: rfc822; other@');
});

test('a message that waits for long is reported as delayed once, and not where nobody wants to hear of it', async () => {
  const script: NextHopOptions['script'] = ({ stage, recipient }) =>
    stage === 'rcpt' && recipient?.startsWith('slow') ? '450 4.2.1 busy' : undefined;
  const env = {
    ...{ POSTERN_DELIVERY_DELAY_WARNING_HOURS: '0.0000001', POSTERN_DELIVERY_RETRY_FIRST_SECONDS: '1' },
    POSTERN_DELIVERY_RETRY_FACTOR: '1',
  };
  await start({ script }, env);
  const id = await send('', ['<slow1@example.com>', '<slow2@example.com> NOTIFY=FAILURE']);
  const [report] = await hop.waitForMessages(1);
  expect(report!.data.toString()).toMatch(
    /Final-Recipient: rfc822; slow1@example.com\r\nAction: delayed\r\nStatus: 4.2.1/,
  );
  expect(report!.data.toString()).toContain('Will-Retry-Until: ');
  expect(report!.data.toString()).not.toContain('slow2@');
  await until('a second attempt', async () => {
    const { events } = (await worker.desk.find(id))!;
    return events.filter(({ type }) => type === 'deferred').length >= 2;
  });
  hop.setScript(() => undefined);
  expect((await ended(id)).events.filter(({ type }) => type === 'reported')).toHaveLength(1);
});
