// Many short commands, each the affair of one test: run side by side before the tests, because one after the other
// they would only wait.

const AT_ONCE = 4;

/**
 * Runs `work` for every name before the tests of this block, a few at a time, and gives each test its own result; a
 * rejection is that test's alone.
 */
export function together<T>(
  names: readonly string[],
  work: (name: string) => Promise<T>,
): (name: string) => Promise<T> {
  const results = new Map<string, Promise<T>>();
  const waiting = [...names];
  const inTurn = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const result = work(name);
      results.set(name, result);
      await result.catch(() => {});
    }
  };
  beforeAll(() => Promise.all(Array.from({ length: AT_ONCE }, inTurn)));
  return (name) => results.get(name) ?? Promise.reject(new Error(`${name} was not run`));
}
