// The report to a sender whose mail could not be delivered: RFC 3464 (multipart/report), RFC 3834 (no answers to it),
// RFC 6533 where addresses are not ASCII. It tells the next hop's own words and brings back the header block.
import { mailDate } from '../message/date.js';
import type { MessageRecord } from '../message/envelope.js';
import { endOfHeader } from '../message/header-block.js';
import { parseReply } from '../message/reply.js';

export interface FailedRecipient {
  address: string;
  /** The next hop's own words, or what went wrong on the way to it. */
  reply: string;
  /** `host:port`, '' when none was reached. */
  hop: string;
}

export interface BounceFacts {
  /** The queue id of the report. */
  id: string;
  hostname: string;
  at: number;
  original: MessageRecord;
  /** The first octets of the original. */
  head: Buffer;
  failed: FailedRecipient[];
}

/** Octets of the original's header block that are brought back. */
const MAX_HEADER = 65_536;
/** The text names so many recipients; the machine-readable part names all. */
const MAX_NAMED = 50;

/** The report as a record and its octets, from the null sender; undefined where there is nobody to tell. */
export function bounceOf(facts: BounceFacts): { record: MessageRecord; octets: Buffer } | undefined {
  const { original, id, at, hostname } = facts;
  const { from, smtpUtf8 } = original.envelope;
  if (from === '') return undefined;
  const subject = 'Your mail could not be delivered';
  const octets = compose(facts, subject);
  const envelope = { from: '', to: [from], bodyType: '8BITMIME' as const, smtpUtf8 };
  const record: MessageRecord = {
    ...{ id, envelope, keyId: original.keyId, acceptedAt: at, size: octets.length, clientAddress: 'postern' },
    ...{ messageId: `<${id}@${hostname}>`, subject, reportOf: original.id },
  };
  return { record, octets };
}

function compose(facts: BounceFacts, subject: string): Buffer {
  const { id, hostname, at, original } = facts;
  const boundary = `=_${id}`;
  const kind = original.envelope.smtpUtf8 ? 'global-delivery-status' : 'delivery-status';
  const part = (type: string, body: string): string =>
    `--${boundary}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${body}\r\n`;
  const header = [
    `Date: ${mailDate(new Date(at))}`,
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${original.envelope.from}>`,
    `Subject: ${subject}`,
    `Message-ID: <${id}@${hostname}>`,
    ...references(original.messageId),
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=${kind};`,
    `\tboundary="${boundary}"`,
  ].join('\r\n');
  const text = [
    ...[`${header}\r\n\r\n`, part('text/plain; charset=utf-8', explanation(facts))],
    part(`message/${kind}`, deliveryStatus(facts)),
    `--${boundary}\r\nContent-Type: ${original.envelope.smtpUtf8 ? 'message/global-headers' : 'text/rfc822-headers'}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n`,
  ].join('');
  return Buffer.concat([Buffer.from(text), headerOf(facts.head), Buffer.from(`\r\n--${boundary}--\r\n`)]);
}

function references(messageId: string): string[] {
  return /^<[!-;=?-~]+>$/.test(messageId) ? [`In-Reply-To: ${messageId}`, `References: ${messageId}`] : [];
}

function explanation({ failed, original, hostname }: BounceFacts): string {
  const named = failed.slice(0, MAX_NAMED).map(({ address, reply }) => `<${address}>\r\n    ${reply}\r\n`);
  const more = failed.length > MAX_NAMED ? [`and ${failed.length - MAX_NAMED} more recipients\r\n`] : [];
  return [
    `This is the mail system at ${hostname}.\r\n`,
    'Your message could not be delivered to the recipients below. No further attempt will be made for them.\r\n',
    ...[...named, ...more],
    `Queue id: ${original.id}`,
  ].join('\r\n');
}

/** RFC 3464 2: one group for the message, one for each recipient. */
function deliveryStatus({ hostname, original, failed }: BounceFacts): string {
  const type = original.envelope.smtpUtf8 ? 'utf-8' : 'rfc822';
  const message = [`Reporting-MTA: dns; ${hostname}`, `Arrival-Date: ${mailDate(new Date(original.acceptedAt))}`];
  const recipients = failed.map(({ address, reply, hop }) => [
    `Final-Recipient: ${type}; ${address}`,
    'Action: failed',
    `Status: ${statusOf(reply)}`,
    ...(hop ? [`Remote-MTA: dns; ${hop.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')}`] : []),
    ...(parseReply(reply) ? [`Diagnostic-Code: smtp; ${reply}`] : [`Diagnostic-Code: x-postern; ${reply}`]),
  ]);
  return [message, ...recipients].map((group) => `${group.join('\r\n')}\r\n`).join('\r\n');
}

/** RFC 3463; a reply without an enhanced code says only its class, and no reply at all that the time was up. */
function statusOf(text: string): string {
  const reply = parseReply(text.replace(/^given up: /, ''));
  if (!reply) return '4.4.7';
  return reply.enhanced ?? `${reply.code >= 500 ? 5 : 4}.0.0`;
}

function headerOf(head: Buffer): Buffer {
  const end = endOfHeader(head);
  return head.subarray(0, Math.min(end < 0 ? head.length : end, MAX_HEADER));
}
