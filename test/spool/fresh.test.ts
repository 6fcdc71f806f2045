import { Fresh, type FreshMessage } from '../../src/spool/fresh.js';

const messageOf = (id: string, bytes: number): FreshMessage => ({
  record: {
    ...{ id, keyId: 'k', acceptedAt: 1, size: bytes, clientAddress: '127.0.0.1', messageId: '', subject: '' },
    envelope: { from: 'a@example.com', to: ['b@example.com'], bodyType: '7BIT', smtpUtf8: false },
  },
  octets: Buffer.alloc(bytes),
});

test('a message is given out once', () => {
  const fresh = new Fresh();
  const message = messageOf('one', 10);
  fresh.add('1-0', message);
  expect(fresh.take('1-0')).toBe(message);
  expect(fresh.take('1-0')).toBeUndefined();
});

test('of what does not fit the oldest goes, and what was taken makes room', () => {
  const fresh = new Fresh(100);
  for (const sid of ['1-0', '2-0', '3-0']) fresh.add(sid, messageOf(sid, 40));
  expect(fresh.take('1-0')).toBeUndefined();
  expect(fresh.take('2-0')).toBeDefined();
  fresh.add('4-0', messageOf('4-0', 60));
  expect(fresh.take('3-0')).toBeDefined();
  fresh.add('5-0', messageOf('5-0', 1000));
  expect([fresh.take('4-0'), fresh.take('5-0')]).toEqual([undefined, undefined]);
});
