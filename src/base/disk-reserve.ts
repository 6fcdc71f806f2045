// A file that takes room on the disk of the embedded Redis while there is enough, and gives it back when others have
// filled the disk: what was accepted can still be settled, and Redis need not end itself for want of a few octets.
import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { diskUse, lowWater } from './disk-space.js';
import { messageOf } from './fault.js';
import type { Log } from './log.js';

const LOOK_EVERY_MS = 250;
/** Of the low-water mark. */
const SHARE = 0.5;
const PIECE = Buffer.alloc(65_536);

export class DiskReserve {
  readonly #file: string;
  #isLow = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly folder: string,
    private readonly minFreeBytes: number,
    private readonly log: Log,
  ) {
    this.#file = join(folder, 'reserve');
  }

  start(): void {
    this.#tend();
    this.#timer = setInterval(() => this.#tend(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#release();
  }

  #tend(): void {
    try {
      const { free, size } = diskUse(this.folder);
      const low = lowWater(this.minFreeBytes, size);
      this.#note(free < low, free);
      const reserve = Math.floor(low * SHARE);
      if (free < low) this.#release();
      else if (free > low + 2 * reserve && !existsSync(this.#file)) this.#take(reserve);
    } catch (error) {
      this.log.debug({ fault: messageOf(error) }, 'cannot look after the disk');
    }
  }

  #note(isLow: boolean, freeBytes: number): void {
    if (isLow === this.#isLow) return;
    this.#isLow = isLow;
    if (isLow) this.log.error({ folder: this.folder, freeBytes }, 'the disk is full: mail is answered 452');
    else this.log.warn({ folder: this.folder, freeBytes }, 'the disk has room again: mail is taken');
  }

  /** Written out, because a file with holes takes no room. */
  #take(bytes: number): void {
    const file = openSync(this.#file, 'w', 0o600);
    try {
      for (let left = bytes; left > 0;) left -= writeSync(file, PIECE, 0, Math.min(left, PIECE.length));
    } finally {
      closeSync(file);
    }
  }

  #release(): void {
    rmSync(this.#file, { force: true });
  }
}
