import { existsSync } from 'node:fs';
import { startRedis, type TestRedis } from './redis.js';

let redis: TestRedis;

afterEach(() => redis?.stop());

describe('a real redis-server for a test', () => {
  it('keeps what was acknowledged through a kill and a start', async () => {
    redis = await startRedis();
    const client = redis.client();
    await client.xadd('stream', '*', 'field', 'value');
    const first = redis.pid;

    await redis.kill();
    await redis.start();

    expect(redis.pid).not.toBe(first);
    expect(await client.xlen('stream')).toBe(1);
  });

  it('runs with the settings that durability rests on, and lets a test override them', async () => {
    redis = await startRedis({ args: ['--maxmemory', '5mb'] });

    const pairs = await redis.client().config('GET', 'append*', 'save', 'maxmemory*', 'port');
    const value = (name: string) => pairs[pairs.indexOf(name) + 1];
    expect(value('appendonly')).toBe('yes');
    expect(value('appendfsync')).toBe('always');
    expect(value('save')).toBe('');
    expect(value('maxmemory-policy')).toBe('noeviction');
    expect(value('maxmemory')).toBe('5242880');
    expect(value('port')).toBe('0');
  });

  it('leaves neither a process nor a directory behind', async () => {
    redis = await startRedis();
    const { pid, dir } = redis;

    await redis.stop();

    expect(existsSync(dir)).toBe(false);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('rejects with what the server said when it cannot run', async () => {
    await expect(startRedis({ args: ['--no-such-setting', '1'] })).rejects.toThrow(/no-such-setting/);
  });
});
