// fast-check with a seed that is the same in every run: what passed passes again, and a failure is of the change at
// hand. To look for more than that: PROPERTY_SEED=random (or a number from a failure), PROPERTY_RUNS=20 for twenty times
// as many runs.
import fc from 'fast-check';

const { PROPERTY_SEED: seed = '20261125', PROPERTY_RUNS: times = '1' } = process.env;

/** For the second argument of `fc.assert`. */
export const runs = (count: number) => ({ numRuns: count * Number(times) });

fc.configureGlobal({ ...runs(100), ...(seed === 'random' ? {} : { seed: Number(seed) }) });

export { fc };
