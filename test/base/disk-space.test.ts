import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskReserve } from '../../src/base/disk-reserve.js';
import { DiskSpace, lowWater, type DiskUse } from '../../src/base/disk-space.js';
import { silentLog } from '../../src/base/log.js';
import { TestClock } from '../support/clock.js';

const MB = 2 ** 20;

test('a disk is low under the mark, and a small disk under a twentieth of itself', () => {
  expect(lowWater(64 * MB, 1000 * 1000 * MB)).toBe(64 * MB);
  expect(lowWater(64 * MB, 100 * MB)).toBe(5 * MB);
});

test('room that goes and comes back is seen, and the disk is looked at ten times a second at most', () => {
  const clock = new TestClock();
  let looks = 0;
  let use: DiskUse = { free: 65 * MB, size: 10_000 * MB };
  const space = new DiskSpace(64 * MB, clock, () => {
    looks++;
    return use;
  });
  expect(space.isLow).toBe(false);
  use = { ...use, free: 63 * MB };
  expect(space.isLow).toBe(false);
  expect(looks).toBe(1);
  clock.advance(100);
  expect(space.isLow).toBe(true);
  use = { ...use, free: 64 * MB };
  clock.advance(100);
  expect(space.isLow).toBe(false);
});

test('a disk that cannot be looked at is no reason to refuse mail', () => {
  const space = new DiskSpace(1, new TestClock(), () => {
    throw new Error('ENOENT');
  });
  expect(space.isLow).toBe(false);
});

test('the reserve takes room while there is enough, and is gone at the end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-reserve-'));
  const reserve = new DiskReserve(folder, 2 * MB, silentLog);
  reserve.start();
  expect(statSync(join(folder, 'reserve'))).toMatchObject({ size: MB });
  reserve.stop();
  expect(existsSync(join(folder, 'reserve'))).toBe(false);
  rmSync(folder, { recursive: true });
});
