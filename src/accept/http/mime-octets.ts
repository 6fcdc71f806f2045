// The octets of a tree of MIME nodes (RFC 2046 5.1.1). nodemailer makes the tree and every header; it would write it
// through eight streams, which costs more than all the rest of a small message. Long parts come in pieces, with a turn of
// the event loop between them.
import { setImmediate } from 'node:timers/promises';
import * as base64 from 'nodemailer/lib/base64';
import type MimeNode from 'nodemailer/lib/mime-node';
import * as qp from 'nodemailer/lib/qp';

/** Encoded pieces of contents that are too long for one go, by the content that stands for them in the tree. */
export type LongContents = ReadonlyMap<unknown, AsyncIterable<Buffer>>;

/** Octets that are held together before they are handed on. */
const PIECE = 65_536;
const LF = 0x0a;

/** The message of a root node, ended by CRLF; texts in it have CRLF line ends already. */
export async function* octetsOf(root: MimeNode, long: LongContents): AsyncGenerator<Buffer> {
  let held = '';
  let isEnded = false;
  for (const part of partsOf(root, long)) {
    if (typeof part === 'string') held += part;
    if (held.length < PIECE && typeof part === 'string') continue;
    yield Buffer.from(held);
    held = '';
    if (typeof part === 'string') await setImmediate();
    else isEnded = yield* whole(part);
  }
  yield Buffer.from((held ? held.endsWith('\r\n') : isEnded) ? held : `${held}\r\n`);
}

/** @returns whether the last line is ended. */
async function* whole(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, boolean> {
  let last = 0;
  for await (const piece of pieces) {
    last = piece.at(-1) ?? last;
    yield piece;
  }
  return last === LF;
}

function* partsOf(node: MimeNode, long: LongContents): Generator<string | AsyncIterable<Buffer>> {
  // The header depends on the encoding, which the node looks up first.
  const encoding = node.getTransferEncoding();
  yield `${node.buildHeaders()}\r\n\r\n`;
  const { content, multipart, boundary, childNodes } = node;
  const pieces = long.get(content);
  if (pieces) yield pieces;
  else if (content) yield encoded(content as string, encoding);
  if (!multipart) return;
  for (const [index, child] of childNodes.entries()) {
    yield `${index > 0 ? '\r\n' : ''}--${boundary}\r\n`;
    yield* partsOf(child, long);
  }
  yield `\r\n--${boundary}--\r\n`;
}

function encoded(text: string, encoding: string | false): string {
  if (encoding === 'base64') return base64.wrap(base64.encode(text));
  return encoding === 'quoted-printable' ? qp.wrap(qp.encode(text)) : text;
}
