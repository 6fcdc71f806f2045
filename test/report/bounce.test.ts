import { simpleParser } from 'mailparser';
import { bounceOf, type BounceFacts } from '../../src/report/bounce.js';
import { startNextHop } from '../support/next-hop.js';
import { makeRecord } from '../support/spool.js';
import { until } from '../support/until.js';
import { queueId, startTestWorker, submit } from '../support/worker.js';

const HEAD = Buffer.from(
  'From: app@example.com\r\nSubject: Lost\r\nMessage-ID: <lost@example.com>\r\n\r\nsecret body\r\n',
);

function factsOf(change: Partial<BounceFacts> = {}): BounceFacts {
  const original = {
    ...makeRecord(HEAD.length, ['nobody@example.com'], Date.UTC(2026, 0, 2)),
    messageId: '<lost@example.com>',
  };
  const failed = [{ address: 'nobody@example.com', reply: '550 5.1.1 no such user', hop: 'mx.example.com:25' }];
  return {
    id: 'r'.repeat(22),
    hostname: 'postern.test',
    at: Date.UTC(2026, 0, 3),
    original,
    head: HEAD,
    failed,
    ...change,
  };
}

test('a report names the recipient, the next hop and its words, and brings the header back but not the body', async () => {
  const { record, octets } = bounceOf(factsOf())!;
  expect(record.envelope).toMatchObject({ from: '', to: ['app@example.com'] });
  expect(record.size).toBe(octets.length);
  const mail = await simpleParser(octets);
  expect(mail.headers.get('auto-submitted')).toBe('auto-replied');
  expect(mail.headers.get('content-type')).toMatchObject({
    value: 'multipart/report',
    params: { 'report-type': 'delivery-status' },
  });
  expect(mail.inReplyTo).toBe('<lost@example.com>');
  expect(mail.text).toContain('550 5.1.1 no such user');
  const text = octets.toString();
  expect(text).toContain(
    'Final-Recipient: rfc822; nobody@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.com\r\n',
  );
  expect(text).toContain('Diagnostic-Code: smtp; 550 5.1.1 no such user');
  expect(text).toContain('Subject: Lost');
  expect(text).not.toContain('secret body');
  expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
});

test.each([
  ['550 no code', '5.0.0'],
  ['450 4.2.1 busy', '4.2.1'],
  ['connect ECONNREFUSED', '4.4.7'],
])('the reply %j has the status %s', (reply, status) => {
  const failed = [{ address: 'x@example.com', reply, hop: '' }];
  expect(bounceOf(factsOf({ failed }))!.octets.toString()).toContain(`Status: ${status}\r\n`);
});

test('nobody is told of what came from the null sender', () => {
  const { original } = factsOf();
  expect(
    bounceOf(factsOf({ original: { ...original, envelope: { ...original.envelope, from: '' } } })),
  ).toBeUndefined();
});

test('addresses that are not ASCII are reported as RFC 6533 says', () => {
  const { original } = factsOf();
  const envelope = { ...original.envelope, from: 'ж@example.com', smtpUtf8: true };
  const { record, octets } = bounceOf(factsOf({ original: { ...original, envelope } }))!;
  expect(record.envelope.smtpUtf8).toBe(true);
  expect(octets.toString()).toMatch(/report-type=global-delivery-status[^]*Final-Recipient: utf-8; /);
});

test('a failed recipient is reported to its sender through the same queue, once, and a report that fails ends there', async () => {
  const hop = await startNextHop();
  hop.setScript(({ stage, recipient }) => {
    return stage === 'rcpt' && /^(nobody|app)@/.test(recipient ?? '') ? '550 5.1.1 no such user' : undefined;
  });
  const worker = await startTestWorker({ env: { POSTERN_RELAY_URL: hop.url } });
  const dialogue = await worker.logIn((await worker.mint()).key);
  const id = queueId(await submit(dialogue, HEAD, ['nobody@example.com', 'two@example.com'], 'sender@example.com'));
  const messages = await hop.waitForMessages(2);
  const report = messages.find(({ mailFrom }) => mailFrom === '')!;
  expect(report.recipients).toEqual(['sender@example.com']);
  expect(report.data.toString()).toContain('Final-Recipient: rfc822; nobody@example.com');
  expect((await worker.desk.find(id))!.events.map(({ type }) => type).sort()).toEqual([
    'bounced',
    'delivered',
    'failed',
  ]);
  queueId(await submit(dialogue, HEAD, ['nobody@example.com'], 'app@example.com'));
  await until('the report has failed too', async () => {
    const all = await worker.desk.list(10);
    return all.length === 4 && all.every(({ doneAt }) => doneAt > 0);
  });
  expect(hop.messages).toHaveLength(2);
  await dialogue.close();
  await worker.stop();
  await hop.stop();
});
