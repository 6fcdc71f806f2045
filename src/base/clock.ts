// Time is an argument everywhere, so that tests decide what time it is and never sleep.

/** A source of the current time in milliseconds since the Unix epoch. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
