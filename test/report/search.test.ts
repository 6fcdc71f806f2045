// Paging through messages that many share their millisecond with.
import type { StoredMessage } from '../../src/message/stored-message.js';
import { findMessages, type Place } from '../../src/report/search.js';
import { fc, runs } from '../support/properties.js';

function stored(id: string, acceptedAt: number): StoredMessage {
  const envelope = { from: '', to: [], bodyType: '8BITMIME' as const, smtpUtf8: false };
  const record = { id, envelope, keyId: '', acceptedAt, size: 0, clientAddress: '', messageId: '', subject: '' };
  return {
    record,
    recipients: [],
    events: [],
    doneAt: 0,
    retryAt: 0,
    cancelledAt: 0,
    damage: '',
    isPaused: false,
    hasBody: true,
  };
}

/** Lists as the spool does. */
const source = (messages: StoredMessage[]) => ({
  list: (max: number, before = Infinity) =>
    Promise.resolve(
      messages
        .filter(({ record }) => record.acceptedAt <= before)
        .sort((a, b) => b.record.acceptedAt - a.record.acceptedAt || (a.record.id < b.record.id ? 1 : -1))
        .slice(0, max),
    ),
});

it('whoever follows `next` meets every message once, newest first', async () => {
  const counts = fc.array(fc.integer({ min: 1, max: 450 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(counts, fc.integer({ min: 1, max: 500 }), async (perMillisecond, limit) => {
      const messages = perMillisecond.flatMap((count, at) =>
        Array.from({ length: count }, (_none, number) => stored(`${at}-${number}`, at + 1)),
      );
      const seen: StoredMessage[] = [];
      let after: Place | undefined;
      do {
        const { messages: page, next } = await findMessages(source(messages), { limit, after });
        seen.push(...page);
        after = next;
      } while (after);
      expect(new Set(seen.map(({ record }) => record.id)).size).toBe(messages.length);
      expect(seen).toHaveLength(messages.length);
      const times = seen.map(({ record }) => record.acceptedAt);
      expect(times).toEqual([...times].sort((a, b) => b - a));
    }),
    runs(40),
  );
});
