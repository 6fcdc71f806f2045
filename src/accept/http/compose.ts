// From a message to its octets, as a stream: nodemailer makes the MIME. Long texts and attachments go in piece by piece,
// with a turn of the event loop between the pieces, so that a large message holds up nobody else.
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import MailComposer from 'nodemailer/lib/mail-composer';
import type { Attachment, OutgoingMail, Part } from './outgoing.js';

/** Octets at a time. */
const PIECE = 65_536;

/** @param messageId for a message whose client gave none, with angle brackets. @param at the time of the Date field. */
export function compose(mail: OutgoingMail, messageId: string, at: Date): AsyncIterable<Buffer> {
  const headers = new Map([...mail.headers].map(([name, value]) => [name.toLowerCase(), { name, value }]));
  const own = { messageId: headers.get('message-id')?.value, date: headers.get('date')?.value };
  for (const name of ['message-id', 'date', 'mime-version']) headers.delete(name);
  const [text, html, alternatives] = partsOf(mail.content);
  const node = new MailComposer({
    ...{ from: mail.from, to: mail.to, cc: mail.cc, subject: mail.subject },
    ...(mail.replyTo.length ? { replyTo: mail.replyTo } : {}),
    ...{ messageId: own.messageId || messageId, date: own.date || at },
    headers: [...headers.values()].map(({ name, value }) => ({ key: name, value })),
    ...(text && { text: contentOf(text) }),
    ...(html && { html: contentOf(html) }),
    alternatives: alternatives.map((part) => ({ ...contentOf(part), contentType: `${part.type}; charset=utf-8` })),
    attachments: mail.attachments.map(attachmentOf),
    newline: 'windows',
    ...{ disableFileAccess: true, disableUrlAccess: true },
  }).compile();
  return node.createReadStream();
}

/** The first part of each of the two usual types, and the others; the order of the request is theirs already. */
function partsOf(content: Part[]): [text: Part | undefined, html: Part | undefined, others: Part[]] {
  const text = content.find(({ type }) => type === 'text/plain');
  const html = content.find(({ type }) => type === 'text/html');
  return [text, html, content.filter((part) => part !== text && part !== html)];
}

function contentOf({ value }: Part): { content: string | Readable; contentTransferEncoding?: string } {
  if (value.length <= PIECE) return { content: value };
  // nodemailer cannot look into a stream, and quoted-printable of much that is not ASCII is three times as long.
  const octets = Buffer.from(value);
  const contentTransferEncoding = octets.length > value.length * 1.25 ? 'base64' : 'quoted-printable';
  return { content: Readable.from(slices(octets)), contentTransferEncoding };
}

function attachmentOf({ content, filename, type, disposition, contentId }: Attachment) {
  return {
    filename,
    content: Readable.from(Buffer.isBuffer(content) ? slices(content) : decoded(content)),
    contentTransferEncoding: 'base64',
    contentDisposition: disposition,
    ...(type && { contentType: type }),
    ...(disposition === 'inline' && contentId && { cid: contentId }),
    ...(disposition !== 'inline' && contentId && { headers: { 'Content-Id': `<${contentId.replace(/[<>]/g, '')}>` } }),
  };
}

async function* slices(octets: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < octets.length; at += PIECE) {
    yield octets.subarray(at, at + PIECE);
    await setImmediate();
  }
}

/** Base64 that has been checked, with line ends perhaps, as octets. */
async function* decoded(base64: readonly string[]): AsyncGenerator<Buffer> {
  let rest = '';
  for (const piece of base64) {
    const text = rest + piece.replace(/\s+/g, '');
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    yield Buffer.from(text.slice(0, whole), 'base64');
    await setImmediate();
  }
  if (rest) yield Buffer.from(rest, 'base64');
}
