// The Redis that Postern runs for itself, as far as test/built cannot see it from outside.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedRedis } from '../../src/base/embedded-redis.js';
import { silentLog } from '../../src/base/log.js';
import { embeddedRedisConf } from '../../src/config.js';
import { until } from '../support/until.js';

it('leaves no timer behind that a command or a stopped server would wait for', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'postern-embedded-'));
  const [set, cleared] = [jest.spyOn(globalThis, 'setTimeout'), jest.spyOn(globalThis, 'clearTimeout')];
  try {
    const redis = new EmbeddedRedis({ dataDir, confFile: embeddedRedisConf, maxMemoryBytes: 100_000_000 }, silentLog);
    await redis.start();
    await redis.stop();
    await until('every long timer is cleared', () => {
      const gone = new Set(cleared.mock.calls.map(([timer]) => timer));
      return set.mock.calls.every(([, ms = 0], at) => ms < 1000 || gone.has(set.mock.results[at]!.value as never));
    });
    expect(set.mock.calls.map(([, ms]) => ms)).toContain(0); // The library's own, now without a wait.
  } finally {
    jest.restoreAllMocks();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
