// When a deferred message is tried again: exponential backoff with jitter, so that a next hop that comes back is not
// met by everything at once.

export interface RetrySettings {
  retryFirstSeconds: number;
  retryFactor: number;
  retryMaxSeconds: number;
  giveUpHours: number;
  /** Age at which a sender hears that a message is still waiting; null = never. */
  delayWarningHours: number | null;
}

/** How much of a wait is chance: from 1 - JITTER to 1. */
const JITTER = 0.25;

/**
 * Milliseconds to wait after the attempt with this number (1 is the first).
 * @param chance from 0 to 1.
 */
export function retryDelayMs(settings: RetrySettings, attempt: number, chance: number): number {
  const { retryFirstSeconds, retryFactor, retryMaxSeconds } = settings;
  const seconds = Math.min(retryFirstSeconds * retryFactor ** (attempt - 1), retryMaxSeconds);
  return Math.round(seconds * 1000 * (1 - JITTER * chance));
}

/** Whether a message accepted at `acceptedAt` is given up rather than tried again at `retryAt` (milliseconds). */
export function isGivenUp(settings: RetrySettings, acceptedAt: number, retryAt: number): boolean {
  return retryAt > giveUpAt(settings, acceptedAt);
}

/** Milliseconds since the epoch, as `acceptedAt`. */
export function giveUpAt(settings: RetrySettings, acceptedAt: number): number {
  return acceptedAt + settings.giveUpHours * 3_600_000;
}

/** Whether a message that is tried again has waited for so long that its sender should know. */
export function isDelayed({ delayWarningHours }: RetrySettings, acceptedAt: number, now: number): boolean {
  return delayWarningHours !== null && now - acceptedAt >= delayWarningHours * 3_600_000;
}
