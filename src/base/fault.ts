// The one kind of error whose message is meant for the operator: a sentence that names what to change.
// Everything else that is thrown is a defect and is printed with its stack.

export class OperatorError extends Error {
  override readonly name: string = 'OperatorError';
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system error code (`ECONNREFUSED`, `EACCES`, ...) of anything that was thrown, or ''. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
