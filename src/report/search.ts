// Finds messages, newest first, a page at a time. Promise: whoever follows `next` meets every message once, also when
// thousands were accepted in one millisecond.
import type { StoredMessage } from '../message/stored-message.js';
import { statusOf, type MessageStatus } from './history.js';

const PAGE = 200;
/** Messages that one search looks at before it stops; `next` goes on from there. */
const MAX_LOOKED_AT = 20_000;

/** The last message of a page. */
export interface Place {
  acceptedAt: number;
  id: string;
}

export interface Search {
  limit: number;
  status?: MessageStatus | undefined;
  /** Only messages behind this one. */
  after?: Place | undefined;
}

export interface Found {
  messages: StoredMessage[];
  /** Where the next page begins; undefined at the end. */
  next: Place | undefined;
}

interface MessageList {
  /** Newest first, `max` at most, accepted at or before `before`. */
  list(max: number, before?: number): Promise<StoredMessage[]>;
}

export async function findMessages(source: MessageList, { limit, status, after }: Search): Promise<Found> {
  const found = new Map<string, StoredMessage>();
  let before = after?.acceptedAt;
  let size = PAGE;
  let last: Place | undefined;
  for (let looked = 0; looked < MAX_LOOKED_AT; looked += size) {
    const page = (await source.list(size, before)).sort(newestFirst);
    for (const message of page) {
      if (found.size === limit) return { messages: [...found.values()], next: last };
      if (after && placeOf(message).acceptedAt > 0 && !isBehind(placeOf(message), after)) continue;
      if (!status || statusOf(message) === status) found.set(message.record.id, message);
      last = placeOf(message);
    }
    if (page.length < size) return { messages: [...found.values()], next: undefined };
    // A damaged record has no time and stands at the end.
    const oldest = page.findLast(({ record }) => record.acceptedAt > 0)?.record.acceptedAt ?? before;
    // Many messages may share a millisecond: the next page begins with it again, or is larger when it is all of one.
    size = oldest === page[0]!.record.acceptedAt ? size * 4 : PAGE;
    before = oldest;
  }
  return { messages: [...found.values()], next: last };
}

const placeOf = ({ record }: StoredMessage): Place => ({ acceptedAt: record.acceptedAt, id: record.id });

const isBehind = (one: Place, other: Place): boolean =>
  one.acceptedAt < other.acceptedAt || (one.acceptedAt === other.acceptedAt && one.id < other.id);

function newestFirst(one: StoredMessage, other: StoredMessage): number {
  if (one.record.id === other.record.id) return 0;
  return isBehind(placeOf(one), placeOf(other)) ? 1 : -1;
}
