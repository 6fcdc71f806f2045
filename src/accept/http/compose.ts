// From a message to its octets: nodemailer makes the MIME. Long texts and attachments go in piece by piece, so that a large
// message holds up nobody else.
import MailComposer from 'nodemailer/lib/mail-composer';
import { base64Lines, base64Of, quotedPrintable } from './long-content.js';
import { octetsOf } from './mime-octets.js';
import type { Attachment, OutgoingMail, Part } from './outgoing.js';

/** Characters that are encoded in one go. */
const SHORT = 65_536;
const TEXT = /^text\//;
const BARE_NEWLINE = /\r(?!\n)|(?<!\r)\n/g;

/** @param messageId for a message whose client gave none, with angle brackets. @param at the time of the Date field. */
export function compose(mail: OutgoingMail, messageId: string, at: Date): AsyncIterable<Buffer> {
  const headers = new Map([...mail.headers].map(([name, value]) => [name.toLowerCase(), { name, value }]));
  const own = { messageId: headers.get('message-id')?.value, date: headers.get('date')?.value };
  for (const name of ['message-id', 'date', 'mime-version']) headers.delete(name);
  const [text, html, alternatives] = partsOf(mail.content);
  const long = new Map<unknown, AsyncIterable<Buffer>>();
  const node = new MailComposer({
    ...{ from: mail.from, to: mail.to, cc: mail.cc, subject: mail.subject },
    ...(mail.replyTo.length ? { replyTo: mail.replyTo } : {}),
    ...{ messageId: own.messageId || messageId, date: own.date || at },
    headers: [...headers.values()].map(({ name, value }) => ({ key: name, value })),
    ...(text && { text: contentOf(text, long) }),
    ...(html && { html: contentOf(html, long) }),
    alternatives: alternatives.map((part) => ({
      ...contentOf(part, long),
      contentType: `${part.type}; charset=utf-8`,
    })),
    attachments: mail.attachments.map((attachment) => attachmentOf(attachment, long)),
    ...{ disableFileAccess: true, disableUrlAccess: true },
  }).compile();
  return octetsOf(node, long);
}

/** The first part of each of the two usual types, and the others; the order of the request is theirs already. */
function partsOf(content: Part[]): [text: Part | undefined, html: Part | undefined, others: Part[]] {
  const text = content.find(({ type }) => type === 'text/plain');
  const html = content.find(({ type }) => type === 'text/html');
  return [text, html, content.filter((part) => part !== text && part !== html)];
}

/** What stands in the tree for a long content; nodemailer cannot look into that. */
type Long = Map<unknown, AsyncIterable<Buffer>>;

const placeholder = (pieces: AsyncIterable<Buffer>, long: Long): Buffer => {
  const content = Buffer.alloc(1);
  long.set(content, pieces);
  return content;
};

function contentOf({ type, value }: Part, long: Long): { content: string | Buffer; contentTransferEncoding?: string } {
  const text = TEXT.test(type) ? value.replace(BARE_NEWLINE, '\r\n') : value;
  if (text.length <= SHORT) return { content: text };
  const octets = Buffer.from(text);
  // Quoted-printable of much that is not ASCII is three times as long.
  const isText = TEXT.test(type) && octets.length <= text.length * 1.25;
  const pieces = isText ? quotedPrintable(octets) : base64Lines(base64Of(octets));
  return { content: placeholder(pieces, long), contentTransferEncoding: isText ? 'quoted-printable' : 'base64' };
}

function attachmentOf({ content, filename, type, disposition, contentId }: Attachment, long: Long) {
  return {
    filename,
    content: placeholder(base64Lines(Buffer.isBuffer(content) ? base64Of(content) : content), long),
    contentTransferEncoding: 'base64',
    contentDisposition: disposition,
    ...(type && { contentType: type }),
    ...(disposition === 'inline' && contentId && { cid: contentId }),
    ...(disposition !== 'inline' && contentId && { headers: { 'Content-Id': `<${contentId.replace(/[<>]/g, '')}>` } }),
  };
}
