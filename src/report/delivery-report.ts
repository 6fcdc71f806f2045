// The report to a sender about what became of recipients: RFC 3464 (multipart/report), RFC 3834 (no answers to it),
// RFC 6533 where addresses are not ASCII. It tells the next hop's own words and brings back the header block, or the
// whole message where the sender asked for it (RFC 3461 4.3) and a recipient failed.
import { mailDate } from '../message/date.js';
import type { OriginalRecipient } from '../message/dsn.js';
import type { MessageRecord } from '../message/envelope.js';
import { endOfHeader } from '../message/header-block.js';
import { parseReply } from '../message/reply.js';

/** RFC 3464 2.3.3. `relayed`: to a next hop that tells the sender nothing of its own. */
export type ReportAction = 'failed' | 'delayed' | 'relayed' | 'delivered';

export interface ReportedRecipient {
  address: string;
  original?: OriginalRecipient;
  action: ReportAction;
  /** The next hop's own words, or what went wrong on the way to it. */
  reply: string;
  /** `host:port`, '' when none was reached. */
  hop: string;
}

export interface ReportFacts {
  /** The queue id of the report. */
  id: string;
  hostname: string;
  at: number;
  original: MessageRecord;
  /** The first octets of the original: all of them when `isWhole`. */
  head: Buffer;
  isWhole: boolean;
  recipients: ReportedRecipient[];
  /** When a delayed recipient will be given up, milliseconds since the epoch. */
  giveUpAt: number;
}

export interface SenderReport {
  record: MessageRecord;
  octets: Buffer;
}

/** Octets of the original that are brought back. */
const MAX_RETURNED = 65_536;
/** The text names so many recipients of a kind; the machine-readable part names all. */
const MAX_NAMED = 50;

const SUBJECTS: [ReportAction, string][] = [
  ['failed', 'Your mail could not be delivered'],
  ['delayed', 'Your mail is delayed'],
  ['relayed', 'Your mail was passed on'],
  ['delivered', 'Your mail was delivered'],
];
const EXPLANATIONS: Record<ReportAction, string> = {
  failed: 'Your message could not be delivered to the recipients below. No further attempt will be made for them.',
  delayed:
    'Your message has not been delivered to the recipients below yet. It is tried again; there is nothing to do.',
  relayed: 'Your message was passed on for the recipients below, to a server that may not report its delivery.',
  delivered: 'Your message was delivered to the recipients below.',
};

/** The report as a record and its octets, from the null sender; undefined where there is nobody to tell. */
export function reportOf(facts: ReportFacts): SenderReport | undefined {
  const { original, id, at, hostname, recipients } = facts;
  const { from, smtpUtf8 } = original.envelope;
  if (from === '' || recipients.length === 0) return undefined;
  const [, subject] = SUBJECTS.find(([action]) => recipients.some((recipient) => recipient.action === action))!;
  const octets = compose(facts, subject);
  const envelope = { from: '', to: [from], bodyType: '8BITMIME' as const, smtpUtf8 };
  const record: MessageRecord = {
    ...{ id, envelope, keyId: original.keyId, acceptedAt: at, size: octets.length, clientAddress: 'postern' },
    ...{ messageId: `<${id}@${hostname}>`, subject, reportOf: original.id },
  };
  return { record, octets };
}

function compose(facts: ReportFacts, subject: string): Buffer {
  const { id, original } = facts;
  const boundary = `=_${id}`;
  const { smtpUtf8 } = original.envelope;
  const status = `message/${smtpUtf8 ? 'global-' : ''}delivery-status`;
  const returned = returnedOf(facts);
  const part = (type: string, body: string): string =>
    `--${boundary}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${body}`;
  const text = [
    ...[headerOf(facts, subject, boundary), '\r\n\r\n'],
    ...[part('text/plain; charset=utf-8', explanation(facts)), '\r\n'],
    ...[part(status, deliveryStatus(facts)), '\r\n'],
    part(returned.type, ''),
  ].join('');
  return Buffer.concat([Buffer.from(text), returned.octets, Buffer.from(`\r\n--${boundary}--\r\n`)]);
}

function headerOf({ id, hostname, at, original }: ReportFacts, subject: string, boundary: string): string {
  return [
    `Date: ${mailDate(new Date(at))}`,
    `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
    `To: <${original.envelope.from}>`,
    `Subject: ${subject}`,
    `Message-ID: <${id}@${hostname}>`,
    ...references(original.messageId),
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=${original.envelope.smtpUtf8 ? 'global-' : ''}delivery-status;`,
    `\tboundary="${boundary}"`,
  ].join('\r\n');
}

function references(messageId: string): string[] {
  return /^<[!-;=?-~]+>$/.test(messageId) ? [`In-Reply-To: ${messageId}`, `References: ${messageId}`] : [];
}

function explanation({ recipients, original, hostname }: ReportFacts): string {
  const groups = SUBJECTS.map(([action]) => action).flatMap((action) => {
    const group = recipients.filter((recipient) => recipient.action === action);
    if (group.length === 0) return [];
    const named = group.slice(0, MAX_NAMED).map(({ address, reply }) => `<${address}>\r\n    ${reply}\r\n`);
    const more = group.length > MAX_NAMED ? [`and ${group.length - MAX_NAMED} more recipients\r\n`] : [];
    return [`${EXPLANATIONS[action]}\r\n`, ...named, ...more];
  });
  return [`This is the mail system at ${hostname}.\r\n`, ...groups, `Queue id: ${original.id}\r\n`].join('\r\n');
}

/** RFC 3464 2: one group for the message, one for each recipient. */
function deliveryStatus(facts: ReportFacts): string {
  const { hostname, original } = facts;
  const { dsn } = original.envelope;
  const message = [
    ...(dsn?.envid === undefined ? [] : [`Original-Envelope-Id: ${dsn.envid}`]),
    `Reporting-MTA: dns; ${hostname}`,
    `Arrival-Date: ${mailDate(new Date(original.acceptedAt))}`,
  ];
  const groups = [message, ...facts.recipients.map((recipient) => recipientStatus(recipient, facts))];
  return groups.map((group) => `${group.join('\r\n')}\r\n`).join('\r\n');
}

function recipientStatus(recipient: ReportedRecipient, facts: ReportFacts): string[] {
  const { address, original, action, reply, hop } = recipient;
  return [
    ...(original ? [`Original-Recipient: ${original.type}; ${original.address}`] : []),
    `Final-Recipient: ${facts.original.envelope.smtpUtf8 ? 'utf-8' : 'rfc822'}; ${address}`,
    `Action: ${action}`,
    `Status: ${statusOf(recipient)}`,
    ...(hop ? [`Remote-MTA: dns; ${hop.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')}`] : []),
    `Diagnostic-Code: ${parseReply(reply) ? 'smtp' : 'x-postern'}; ${reply}`,
    `Last-Attempt-Date: ${mailDate(new Date(facts.at))}`,
    ...(action === 'delayed' ? [`Will-Retry-Until: ${mailDate(new Date(facts.giveUpAt))}`] : []),
  ];
}

/** RFC 3463; a reply without an enhanced code says only its class, and no reply at all that the time was up. */
function statusOf({ action, reply: text }: ReportedRecipient): string {
  if (action === 'delivered') return '2.0.0';
  const reply = parseReply(text.replace(/^given up: /, ''));
  if (!reply) return action === 'delayed' ? '4.0.0' : '4.4.7';
  return reply.enhanced ?? `${Math.floor(reply.code / 100)}.0.0`;
}

/** RFC 3461 4.3: the whole message only where it was asked for and one failed, and only where it is short. */
function returnedOf({ original, head, isWhole, recipients }: ReportFacts): { type: string; octets: Buffer } {
  const { smtpUtf8, dsn } = original.envelope;
  const wanted = dsn?.ret === 'FULL' && recipients.some(({ action }) => action === 'failed');
  if (wanted && isWhole && head.length <= MAX_RETURNED)
    return { type: smtpUtf8 ? 'message/global' : 'message/rfc822', octets: head };
  const end = endOfHeader(head);
  const octets = head.subarray(0, Math.min(end < 0 ? head.length : end, MAX_RETURNED));
  return { type: smtpUtf8 ? 'message/global-headers' : 'text/rfc822-headers', octets };
}
