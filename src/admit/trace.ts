// The header fields that go in front of an accepted message: Received (RFC 5321 4.4), and Message-ID and Date where
// they are missing (RFC 6409 8.2, 8.3). Promise: never the key, its id or its name, and no octet of the client's
// that could end a line.
import { isIPv6 } from 'node:net';
import { maskKeys } from '../base/mask.js';
import { mailDate } from '../message/date.js';

export interface TraceFacts {
  id: string;
  hostname: string;
  clientAddress: string;
  /** What the client called itself; '' over HTTP. */
  helo: string;
  /** RFC 3848 and 6531: ESMTPSA, UTF8SMTPSA, HTTP, ... */
  protocol: string;
  at: Date;
}

/** The fields as octets, each ended by CRLF. */
export function traceFields(facts: TraceFacts, missing: { messageId: boolean; date: boolean }): Buffer {
  const literal = addressLiteral(facts.clientAddress);
  const from = facts.helo ? `${maskKeys(facts.helo).replace(/[^\w.:[\]-]/g, '?')} (${literal})` : literal;
  const date = mailDate(facts.at);
  const lines = [
    `Received: from ${from}`,
    `\tby ${facts.hostname} (Postern) with ${facts.protocol}`,
    `\tid ${facts.id}; ${date}`,
    ...(missing.messageId ? [`Message-ID: ${generatedMessageId(facts)}`] : []),
    ...(missing.date ? [`Date: ${date}`] : []),
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

export const generatedMessageId = (facts: Pick<TraceFacts, 'id' | 'hostname'>): string =>
  `<${facts.id}@${facts.hostname}>`;

function addressLiteral(address: string): string {
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`;
}
