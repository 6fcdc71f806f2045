// Restrictions as the HTTP API takes them: `{"from": ["example.com"], "rate": "100/1m", ...}`, read by the same
// readers as the options of the command line, so that both accept and refuse the same. Strict: a member that is not
// known is an error, because a restriction that is passed over would leave the key too free.
import * as z from 'zod';
import { messageOf } from '../base/fault.js';
import type { Restrictions } from './policy.js';
import { readAddressOrDomain, readAllowance, readNetwork } from './restriction-text.js';

const MAX_ENTRIES = 1000;
/** The end of the year 9999 in seconds: beyond it somebody has written milliseconds. */
const LATEST = 253_402_300_799;

const text = <T>(what: string, read: (text: string) => T) =>
  z
    .string(`expected ${what}`)
    .max(500, `expected ${what}`)
    .transform((value, context): T => {
      try {
        return read(value);
      } catch (error) {
        context.addIssue({ code: 'custom', message: messageOf(error) });
        return z.NEVER;
      }
    });

const list = (what: string, read: (text: string) => string) =>
  z.array(text(what, read), `expected a list of ${what}`).max(MAX_ENTRIES, `expected at most ${MAX_ENTRIES} entries`);

const addresses = (who: string) =>
  list('addresses or domains', readAddressOrDomain).describe(
    `${who}: addresses or whole domains; an empty list allows none`,
  );

const COUNT = 'expected a whole number of at least 1';
const count = z.int(COUNT).min(1, COUNT);

const ALLOWANCE = 'expected text such as "100/1m", or {"messages": 100, "seconds": 60}';
const allowance = (what: string) =>
  z
    .union(
      [z.strictObject({ messages: count.max(999_999_999), seconds: count.max(999_999_999) }), z.string()],
      ALLOWANCE,
    )
    .transform((value, context) => {
      const read = typeof value === 'string' ? text(ALLOWANCE, readAllowance).safeParse(value) : { data: value };
      if (read.data) return read.data;
      context.addIssue({ code: 'custom', message: read.error.issues[0]!.message });
      return z.NEVER;
    })
    .describe(`${what}: "100/1m", or {"messages": 100, "seconds": 60}`);

const EXPIRY = 'expected whole seconds since 1970';
const members = {
  from: addresses('Senders, for MAIL FROM and every From field'),
  to: addresses('Recipients'),
  ips: list('networks', readNetwork).describe('Client networks in CIDR notation; an empty list allows none'),
  expires_at: z
    .int(EXPIRY)
    .min(0, EXPIRY)
    .max(LATEST, `${EXPIRY}, not milliseconds`)
    .describe('Seconds since 1970 at which the key ends'),
  rate: allowance('Messages in any such time'),
  quota: allowance('Messages in each period of such a length'),
  max_bytes: count.describe('Largest message'),
  max_recipients: count.describe('Recipients of one message'),
  require_tls: z.boolean('expected true or false').describe('Usable over TLS only'),
};

const NAMES = Object.keys(members).join(', ');

export const restrictionsInput = z
  .strictObject(members, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `${(issue as { keys: string[] }).keys.map((name) => `'${name.slice(0, 50)}'`).join(', ')} is not a restriction; there are ${NAMES}`
        : `expected an object with any of ${NAMES}`,
  })
  .partial()
  .transform((given): Restrictions => {
    const { require_tls: requireTls, ...rest } = given;
    const present = Object.entries(rest).filter(([, value]) => value !== undefined);
    return { ...(Object.fromEntries(present) as Restrictions), ...(requireTls && { require_tls: true }) };
  });

/** What an answer carries: the same members, with rates in numbers. */
export const restrictionsOutput = z.object({
  from: z.array(z.string()).optional(),
  to: z.array(z.string()).optional(),
  ips: z.array(z.string()).optional(),
  expires_at: z.number().optional(),
  rate: z.object({ messages: z.number(), seconds: z.number() }).optional(),
  quota: z.object({ messages: z.number(), seconds: z.number() }).optional(),
  max_bytes: z.number().optional(),
  max_recipients: z.number().optional(),
  require_tls: z.boolean().optional(),
});
