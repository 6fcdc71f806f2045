// A clock that stands still until a test moves it.
import type { Clock } from '../../src/base/clock.js';

export class TestClock implements Clock {
  constructor(private ms = Date.UTC(2026, 10, 23, 12, 0, 0)) {}

  now(): number {
    return this.ms;
  }

  advance(ms: number): void {
    this.ms += ms;
  }
}
