// Waits for a condition in a foreign process or store that gives no event; the one poll of the tests.
import { setTimeout as delay } from 'node:timers/promises';

/** After so long a thing hangs. A bound, not a measure: a machine may be ten times slower than the developer's. */
export const PATIENCE_MS = 60_000;

/** The first answer of `look` that is neither undefined nor false. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const start = Date.now();
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    const waited = Date.now() - start;
    if (waited > timeoutMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    // A look may be costly, and what takes long need not be seen at once.
    await delay(Math.min(5 + waited / 10, 100));
  }
}
