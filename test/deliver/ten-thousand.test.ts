import { startNextHop } from '../support/next-hop.js';
import { startRedis } from '../support/redis.js';
import { until } from '../support/until.js';
import { startTestWorker } from '../support/worker.js';
import { makeMessage, runLoad } from '../bench/load.js';

test('10,000 messages through two workers all arrive at the next hop, and none twice', async () => {
  const hop = await startNextHop();
  const redis = await startRedis();
  const env = { POSTERN_RELAY_URL: hop.url, POSTERN_LOG_LEVEL: 'warn', POSTERN_REPORT_MAX_MESSAGES: '100' };
  const workers = [await startTestWorker({ redis, env }), await startTestWorker({ redis, env })];
  const { key } = await workers[0]!.mint();
  const half = (port: number, idPrefix: string) => {
    const message = makeMessage(1024);
    const auth = { user: 'apikey', pass: key };
    return runLoad({ port, connections: 10, messages: 5000, message, mode: 'kept', auth, recipients: 1, idPrefix });
  };
  const results = await Promise.all(workers.map(({ port }, index) => half(port, `w${index}-`)));
  expect(results.map(({ failures }) => failures)).toEqual([{}, {}]);
  const messages = await hop.waitForMessages(10_000, 120_000);
  const ids = messages.map(({ data }) => /X-Bench-Id: (\S+)/i.exec(data.toString('latin1', 0, 2000))![1]);
  expect(new Set(ids).size).toBe(10_000);
  await until('the queue is empty', async () => {
    const { ready, underWay, deferred } = await workers[0]!.desk.counts();
    return ready + underWay + deferred === 0;
  });
  expect(hop.messages).toHaveLength(10_000);
  expect((await workers[0]!.desk.list(1000)).length).toBeLessThanOrEqual(100);
  for (const worker of workers) await worker.stop();
  await redis.stop();
  await hop.stop();
});
