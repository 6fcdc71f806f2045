// What is read of a message: its header block, nothing else. Out comes the block as it will be relayed: trace fields
// in front, X-SMTPAPI taken out, everything else octet for octet.
import { refuse, type Refusal } from '../message/refusal.js';
import { fieldValue, scanHeader, type HeaderField } from '../message/header-block.js';
import { generatedMessageId, traceFields, type TraceFacts } from '../admit/trace.js';

const MAX_FIELDS = 1000;
/** RFC 5321 6.3: a message with so many Received fields goes round in circles. */
const MAX_RECEIVED = 100;
const MAX_SUBJECT = 200;
const MAX_MESSAGE_ID = 998;
const CRLF = Buffer.from('\r\n');

export interface ReadHeader {
  /** The new header block, and whatever of the body came with it. */
  octets: Buffer;
  /** The values of all From fields. */
  from: string[];
  messageId: string;
  subject: string;
}

/**
 * @param head the first octets of the message, with CRLF line ends, the whole header block among them, or too much of it.
 * @param maxBytes of the header block
 */
export function readHeader(head: Buffer, facts: TraceFacts, maxBytes: number): ReadHeader | Refusal {
  const block = scanHeader(head);
  if (block.length > maxBytes) return refuse('header-too-big', { limit: maxBytes });
  if (block.fields.length > MAX_FIELDS) return refuse('header-too-big', { limit: MAX_FIELDS });
  const named = (name: string): HeaderField[] => block.fields.filter((field) => field.name === name);
  if (named('received').length > MAX_RECEIVED) return refuse('mail-loop');
  const value = (name: string): string => named(name).map((field) => fieldValue(head, field))[0] ?? '';
  const [messageId] = named('message-id');
  const trace = traceFields(facts, { messageId: !messageId, date: named('date').length === 0 });
  // An empty line goes in front of a line that is no field: nobody may see a field behind it that was not checked.
  const body = head.subarray(block.length);
  const rest = block.isEnded || body.length === 0 ? [body] : [CRLF, body];
  return {
    octets: Buffer.concat([trace, ...withoutFields(head.subarray(0, block.length), named('x-smtpapi')), ...rest]),
    from: named('from').map((field) => fieldValue(head, field)),
    messageId: messageId ? value('message-id').slice(0, MAX_MESSAGE_ID) : generatedMessageId(facts),
    subject: value('subject').slice(0, MAX_SUBJECT),
  };
}

/** `octets` less some of its fields. */
function withoutFields(octets: Buffer, fields: HeaderField[]): Buffer[] {
  const kept: Buffer[] = [];
  let from = 0;
  for (const field of fields) {
    kept.push(octets.subarray(from, field.start));
    from = field.end;
  }
  return [...kept, octets.subarray(from)];
}
