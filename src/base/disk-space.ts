// Room on the disk of the embedded Redis. A Redis that fsyncs every change ends itself when a write to its file fails,
// so mail is refused while there is still room for everything else. Promise: looking costs next to nothing, and room
// that comes back is seen without a restart.
import { statfsSync } from 'node:fs';
import type { Clock } from './clock.js';

/** Free octets of the file system that a folder is on, and its size. @throws when the folder is gone */
export interface DiskUse {
  free: number;
  size: number;
}

/** A small file system keeps back a part of it rather than all of it. */
const LARGEST_SHARE = 0.05;
const LOOK_EVERY_MS = 100;

/** Octets under which a disk of `size` octets counts as full. */
export function lowWater(minFreeBytes: number, size: number): number {
  return Math.min(minFreeBytes, size * LARGEST_SHARE);
}

export function diskUse(folder: string): DiskUse {
  const { bavail, blocks, bsize } = statfsSync(folder);
  return { free: bavail * bsize, size: blocks * bsize };
}

export class DiskSpace {
  #lookedAt = -Infinity;
  #isLow = false;

  /** @param look tells how full the disk is; what it throws counts as room, since others will say what is wrong. */
  constructor(
    private readonly minFreeBytes: number,
    private readonly clock: Clock,
    private readonly look: () => DiskUse,
  ) {}

  get isLow(): boolean {
    const now = this.clock.now();
    if (Math.abs(now - this.#lookedAt) >= LOOK_EVERY_MS) {
      this.#lookedAt = now;
      this.#isLow = this.#measure();
    }
    return this.#isLow;
  }

  #measure(): boolean {
    try {
      const { free, size } = this.look();
      return free < lowWater(this.minFreeBytes, size);
    } catch {
      return false;
    }
  }
}
