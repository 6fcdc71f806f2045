// Reads the hash of a message back into what it stands for. What cannot be read is damage, said in words.
import type { MessageRecord } from '../message/envelope.js';
import type { MessageEvent } from '../message/event.js';
import { untried, type RecipientStatus } from '../message/recipient.js';

export type Fields = Record<string, string>;

/** @throws Error that says what is wrong with the record. */
export function readRecord(fields: Fields): MessageRecord {
  if (fields.record === undefined) throw new Error('its record is missing');
  const record = JSON.parse(fields.record) as MessageRecord;
  const { envelope } = record;
  const sound = typeof envelope?.from === 'string' && Array.isArray(envelope.to) && envelope.to.length > 0;
  if (!sound || !Number.isSafeInteger(record.size)) throw new Error('its record is damaged');
  return record;
}

export function readRecipients(fields: Fields, record: MessageRecord): RecipientStatus[] {
  return record.envelope.to.map((_address, index) => {
    const stored = fields[`r:${index}`];
    return stored === undefined ? untried : (JSON.parse(stored) as RecipientStatus);
  });
}

export function readEvents(fields: Fields): MessageEvent[] {
  const count = Number(fields.events ?? 0);
  const stored = Array.from({ length: count }, (_none, index) => fields[`e:${index + 1}`]);
  return stored.filter((event) => event !== undefined).map((event) => JSON.parse(event) as MessageEvent);
}
