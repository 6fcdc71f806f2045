import { simpleParser } from 'mailparser';
import { reportOf, type ReportFacts, type ReportedRecipient } from '../../src/report/delivery-report.js';
import { startNextHop } from '../support/next-hop.js';
import { makeRecord } from '../support/spool.js';
import { until } from '../support/until.js';
import { queueId, startTestWorker, submit } from '../support/worker.js';

const HEAD = Buffer.from(
  'From: app@example.com\r\nSubject: Lost\r\nMessage-ID: <lost@example.com>\r\n\r\nsecret body\r\n',
);

function factsOf(change: Partial<ReportFacts> = {}): ReportFacts {
  const original = {
    ...makeRecord(HEAD.length, ['nobody@example.com'], Date.UTC(2026, 0, 2)),
    messageId: '<lost@example.com>',
  };
  const failed = { address: 'nobody@example.com', reply: '550 5.1.1 no such user', hop: 'mx.example.com:25' };
  return {
    id: 'r'.repeat(22),
    hostname: 'postern.test',
    at: Date.UTC(2026, 0, 3),
    original,
    head: HEAD,
    isWhole: true,
    recipients: [{ ...failed, action: 'failed' }],
    giveUpAt: Date.UTC(2026, 0, 5),
    ...change,
  };
}

test('a report names the recipient, the next hop and its words, and brings the header back but not the body', async () => {
  const { record, octets } = reportOf(factsOf())!;
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
  const recipients: ReportedRecipient[] = [{ address: 'x@example.com', action: 'failed', reply, hop: '' }];
  expect(reportOf(factsOf({ recipients }))!.octets.toString()).toContain(`Status: ${status}\r\n`);
});

test('nobody is told of what came from the null sender', () => {
  const { original } = factsOf();
  expect(
    reportOf(factsOf({ original: { ...original, envelope: { ...original.envelope, from: '' } } })),
  ).toBeUndefined();
});

test('addresses that are not ASCII are reported as RFC 6533 says', () => {
  const { original } = factsOf();
  const envelope = { ...original.envelope, from: 'ж@example.com', smtpUtf8: true };
  const { record, octets } = reportOf(factsOf({ original: { ...original, envelope } }))!;
  expect(record.envelope.smtpUtf8).toBe(true);
  expect(octets.toString()).toMatch(/report-type=global-delivery-status[^]*Final-Recipient: utf-8; /);
});

test('delays, relays and deliveries have their own action, status and words, and failures name the report', () => {
  const recipients: ReportedRecipient[] = [
    { address: 'slow@example.com', action: 'delayed', reply: 'connect ECONNREFUSED', hop: '' },
    { address: 'busy@example.com', action: 'delayed', reply: '450 4.2.1 busy', hop: 'mx:25' },
    { address: 'there@example.com', action: 'relayed', reply: '250 fine', hop: 'mx:25' },
    { address: 'kept@example.com', action: 'delivered', reply: 'captured', hop: '' },
  ];
  const text = reportOf(factsOf({ recipients }))!.octets.toString();
  const groups = text.split('Final-Recipient: rfc822; ').slice(1);
  expect(groups.map((group) => /Action: (.*)\r\nStatus: (.*)\r\n/.exec(group)!.slice(1, 3))).toEqual([
    ['delayed', '4.0.0'],
    ['delayed', '4.2.1'],
    ['relayed', '2.0.0'],
    ['delivered', '2.0.0'],
  ]);
  expect(text).toContain('Subject: Your mail is delayed\r\n');
  expect(groups[0]).toContain('Will-Retry-Until: Mon, 5 Jan 2026 00:00:00 +0000\r\n');
  expect(groups[2]).not.toContain('Will-Retry-Until');
});

test('RET, ENVID and ORCPT come back: the whole message only for a failure, and only where it is short', () => {
  const { original, recipients } = factsOf();
  const dsn = { ret: 'FULL' as const, envid: 'order 7', recipients: {} };
  const asked = { ...original, envelope: { ...original.envelope, dsn } };
  const [failed] = recipients as [ReportedRecipient];
  const text = (change: Partial<ReportFacts>) => reportOf(factsOf({ original: asked, ...change }))!.octets.toString();
  const known = { ...failed, original: { type: 'rfc822', address: 'alias+1@example.com' } };
  expect(text({ recipients: [known] })).toMatch(
    /\r\nOriginal-Envelope-Id: order 7\r\n[^]*\r\nOriginal-Recipient: rfc822; alias\+1@example.com\r\nFinal-/,
  );
  expect(text({})).toMatch(/Content-Type: message\/rfc822\r\n[^]*secret body/);
  for (const change of [{ isWhole: false }, { recipients: [{ ...failed, action: 'delayed' as const }] }])
    expect(text(change)).not.toContain('secret body');
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
