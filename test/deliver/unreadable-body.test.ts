// A large message is read from the store while it is sent; the store may go away in between.
import { Readable } from 'node:stream';
import { HopConnection } from '../../src/deliver/hop-connection.js';
import { parseNextHop } from '../../src/deliver/next-hop.js';
import { startNextHop } from '../support/next-hop.js';

const timeouts = { connectTimeoutSeconds: 10, replyTimeoutSeconds: 10, transactionTimeoutSeconds: 10 };

test('a body that breaks off ends the transaction without its final dot, and leaves no doubt', async () => {
  const hop = await startNextHop();
  try {
    const connection = await HopConnection.open(parseNextHop(hop.url), 'postern.test', timeouts, () => {});
    const body = Readable.from(
      (function* () {
        yield Buffer.from('Subject: x\r\n\r\n');
        throw new Error('Redis is away');
      })(),
      { objectMode: false },
    );
    const message = { from: 'a@example.com', to: ['b@example.com'], body, size: 100, is8Bit: false, dsn: undefined };
    const { rest } = await connection.send(message);
    expect(rest).toMatchObject({ fault: { message: 'the message could not be read: Redis is away' } });
    expect(rest).toMatchObject({ fault: { details: { inDoubt: false, response: undefined, unfit: undefined } } });
    expect(connection.isOpen).toBe(false);
    expect(hop.messages).toEqual([]);
  } finally {
    await hop.stop();
  }
});
