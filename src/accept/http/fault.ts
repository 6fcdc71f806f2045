// What is wrong with a request to send mail, in SendGrid's words: which field, what about it, and where to read on.
import type * as z from 'zod';

export interface Fault {
  message: string;
  /** Dotted path with indexes, `personalizations.0.to.0.email`. */
  field: string | null;
  help: string | null;
}

type Path = readonly PropertyKey[];

const HELP = 'http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#';
/** Where the anchor is not `message` and the path. */
const ANCHORS: Readonly<Record<string, string>> = { personalizations: '-Personalizations-Errors' };

/** @param path names and indexes from the top of the request. @param anchor of the help, where it is not the path. */
export function fault(message: string, path: Path, anchor?: string): Fault {
  const names = path.filter((name) => typeof name === 'string').join('.');
  const field = path.map(String).join('.');
  return { message, field, help: HELP + (ANCHORS[field] ?? `message${anchor ?? `.${names}`}`) };
}

/** A fault of the request as a whole. */
export const wholeFault = (message: string): Fault => ({ message, field: null, help: null });

/** What the schema found. The issues must have been made with `reportInput`. */
export function schemaFaults(issues: z.core.$ZodIssue[]): Fault[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_type' || !issue.message.startsWith('Invalid input')) {
      return [fault(issue.message, issue.path)];
    }
    const message = `Invalid type. Expected: ${jsonName(issue.expected)}, given: ${jsonType(issue.input)}.`;
    return [{ message, field: issue.path.map(String).join('.') || null, help: null }];
  });
}

/** What JSON calls the type of a value; `integer` for whole numbers. */
function jsonType(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function jsonName(expected: string): string {
  return { record: 'object', int: 'integer' }[expected] ?? expected;
}
