// From a checked request to the messages that it stands for: one a personalization, each with its own envelope. The
// recipients of a personalization see its to and cc, and never its bcc.
import type { Envelope } from '../../message/envelope.js';
import { oneLine, wellFormed } from './controls.js';
import { readMailbox } from './mailbox.js';
import type { MailRequest, Personalization, RequestMailbox } from './mail-request.js';
import { substituter, type Substitute } from './substitute.js';

export interface Mailbox {
  name: string;
  address: string;
}

export interface Part {
  type: string;
  value: string;
}

export interface Attachment {
  /** Base64 in pieces, or the octets themselves. */
  content: readonly string[] | Buffer;
  filename: string;
  /** A MIME type, or undefined: then the file name tells. */
  type: string | undefined;
  disposition: 'attachment' | 'inline';
  contentId: string | undefined;
}

/** A message before it has octets. */
export interface OutgoingMail {
  envelope: Envelope;
  from: Mailbox;
  to: Mailbox[];
  cc: Mailbox[];
  replyTo: Mailbox[];
  subject: string;
  headers: Map<string, string>;
  content: Part[];
  attachments: Attachment[];
  wishes: {
    categories?: string[];
    customArgs?: Record<string, string>;
    sendAt?: number;
    batchId?: string;
  };
}

/** A request that was checked. */
export type RequestBody = Omit<MailRequest, 'attachments'> & {
  attachments: Attachment[];
  /** Members that ask for what does not exist here. */
  ignored: string[];
};

/** @throws TooLong when substitutions make more of a text than `maxLength` characters. */
export function outgoing(request: RequestBody, personalization: Personalization, maxLength: number): OutgoingMail {
  const { to, cc, bcc } = personalization;
  const substitute = substituter(personalization.substitutions ?? {}, request.sections ?? {}, maxLength);
  const from = mailbox(personalization.from ?? request.from);
  const addresses = [...to, ...(cc ?? []), ...(bcc ?? [])].map(addressOf);
  return {
    envelope: { from: from.address, to: addresses, bodyType: '7BIT', smtpUtf8: false },
    from,
    ...{ to: to.map(mailbox), cc: (cc ?? []).map(mailbox) },
    replyTo: (request.reply_to ? [request.reply_to] : (request.reply_to_list ?? [])).map(mailbox),
    subject: oneLine(substitute(personalization.subject ?? request.subject ?? '')),
    headers: merged(request.headers, personalization.headers),
    content: contentOf(request, substitute),
    attachments: request.attachments,
    wishes: wishesOf(request, personalization),
  };
}

/** The personalization wins, whatever the case of the letters. */
function merged(global: MailRequest['headers'], own: MailRequest['headers']): Map<string, string> {
  const headers = new Map<string, [name: string, value: string]>();
  for (const each of [global, own]) {
    for (const [name, value] of Object.entries(each ?? {})) headers.set(name.toLowerCase(), [name, wellFormed(value)]);
  }
  return new Map(headers.values());
}

function contentOf({ content }: RequestBody, substitute: Substitute): Part[] {
  return (content ?? []).map(({ type, value }) => ({
    type: type.toLowerCase(),
    value: substitute(value),
  }));
}

function wishesOf(request: RequestBody, own: Personalization): OutgoingMail['wishes'] {
  const customArgs = { ...request.custom_args, ...own.custom_args };
  const sendAt = own.send_at ?? request.send_at;
  return {
    ...(request.categories?.length ? { categories: request.categories } : {}),
    ...(Object.keys(customArgs).length ? { customArgs } : {}),
    ...(sendAt && sendAt > 0 ? { sendAt: sendAt * 1000 } : {}),
    ...(request.batch_id ? { batchId: request.batch_id } : {}),
  };
}

const mailbox = (given: RequestMailbox): Mailbox => ({ name: oneLine(given.name ?? ''), address: addressOf(given) });

/** The schema let it through: it is an address. */
const addressOf = ({ email }: RequestMailbox): string => readMailbox(email)!;
