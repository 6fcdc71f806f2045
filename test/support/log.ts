// A log whose lines a test can look at, and wait for.
import { EventEmitter, once } from 'node:events';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Log } from '../../src/base/log.js';
import { maskKeys } from '../../src/base/mask.js';
import { PATIENCE_MS } from './until.js';

export type LogLine = { level: number; msg: string } & Record<string, unknown>;

export class TestLog {
  readonly lines: LogLine[] = [];
  readonly #events = new EventEmitter();
  readonly log: Log;

  constructor() {
    const sink = new Writable({
      write: (chunk, _encoding, done) => {
        this.lines.push(JSON.parse(String(chunk)) as LogLine);
        this.#events.emit('line');
        done();
      },
    });
    this.log = pino({ level: 'trace', hooks: { streamWrite: maskKeys } }, sink);
  }

  /** The first line with this message that fits, now or later. */
  async line(
    msg: string | RegExp,
    fits: (line: LogLine) => boolean = () => true,
    timeoutMs = PATIENCE_MS,
  ): Promise<LogLine> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const found = this.lines.find((line) => matches(line.msg, msg) && fits(line));
      if (found) return found;
      await once(this.#events, 'line', { signal }).catch(() => {
        throw new Error(
          `no log line ${String(msg)} within ${timeoutMs} ms; there are:\n${this.lines.map((line) => line.msg).join('\n')}`,
        );
      });
    }
  }
}

const matches = (text: string, wanted: string | RegExp): boolean =>
  typeof wanted === 'string' ? text === wanted : wanted.test(text);
