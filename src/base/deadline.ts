// A bound on waiting for anything that might never answer.

class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** `work`'s result, or a DeadlineError after `ms` milliseconds. `what` names it in the error. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
