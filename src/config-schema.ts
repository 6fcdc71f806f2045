// The shape of the configuration: what each setting may be, said in words that an operator can act on.
// The defaults are in config/default.yml alone; a test holds the two equal.
import { hostname as machineName, availableParallelism } from 'node:os';
import { isIP } from 'node:net';
import * as z from 'zod';

/** An empty text from the environment is no number, least of all 0. */
const number = (schema: z.ZodCoercedNumber) =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() === '' ? NaN : value), schema);

const integer = (min: number, max: number, what = 'a whole number') => {
  const expected = `expected ${what} from ${min} to ${max}`;
  return number(z.coerce.number(expected).int(expected).min(min, expected).max(max, expected));
};

const choice = <const T extends [string, ...string[]]>(...names: T) => z.enum(names, `expected ${names.join(', ')}`);

/** YAML reads a bare `off` as a string (1.2) or false (1.1): both mean none. */
const port = z.preprocess(
  (value) => (value === false ? 'off' : value),
  z.union([z.literal('off'), integer(0, 65_535, 'a port')], 'expected a port from 0 to 65535, or off'),
);

const text = (what: string) => z.string(`expected ${what}`).min(1, `expected ${what}`);

/** A nullable setting: null, and from the environment the empty string. */
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? null : value), schema.nullable());

const HOSTNAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;
const REDIS_URL = /^(unix:(\/\/)?\/.+|rediss?:\/\/.+|redis\+(sentinel|cluster):\/\/.+)$/;
const HOURS = 'expected hours, more than 0 and at most 8760';
const TLS_MODES = ['required', 'opportunistic', 'insecure', 'none'];

const ESCAPE = 'a special character in the password is written %XX';

/** What is wrong with the URL of a next hop; its value may hold a password and is not repeated. */
function relayFault(text: string): string | undefined {
  if (!/^smtps?:\/\/[^\s,]+$/.test(text) || !URL.canParse(text) || !new URL(text).hostname) {
    return `expected smtp://[user:password@]host[:port][?tls=...] or smtps://...; ${ESCAPE}`;
  }
  const { searchParams } = new URL(text);
  const unknown = [...searchParams.keys()].find((name) => name !== 'tls' && name !== 'name');
  if (unknown !== undefined) return `'${unknown}=' is not known; use tls= and name=`;
  const tls = searchParams.get('tls');
  return tls !== null && !TLS_MODES.includes(tls) ? `tls=${tls} is not one of ${TLS_MODES.join(', ')}` : undefined;
}

function redisFault(text: string): string | undefined {
  if (!REDIS_URL.test(text)) return 'expected unix:/path, redis://, rediss://, redis+sentinel:// or redis+cluster://';
  return /^rediss?:/.test(text) && !URL.canParse(text) ? `expected a URL; ${ESCAPE}` : undefined;
}

const checked = (fault: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = fault(text);
    if (message) context.addIssue({ code: 'custom', message });
  });

const relayUrls = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : value),
  z.array(checked(relayFault)),
);

/** proxy-addr, which reads them in the end, throws at whatever is not a network. */
function isNetwork(text: string): boolean {
  const [address, bits, ...more] = text.split('/');
  const longest = isIP(address!) === 4 ? 32 : 128;
  return (
    isIP(address!) > 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= longest))
  );
}

const networks = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : value),
  z.array(z.string().refine(isNetwork, 'expected addresses or networks, such as 127.0.0.1 or 10.0.0.0/8')),
);

const trustedProxies = optional(networks).transform((list) => (list?.length ? list : null));

export const schema = z.strictObject({
  host: text('an address'),
  hostname: optional(z.string().regex(HOSTNAME, 'expected a host name')).transform((name) => name ?? machineName()),
  dataDir: text('a folder'),
  workers: optional(integer(1, 256)).transform((count) => count ?? availableParallelism()),
  drainSeconds: integer(0, 3600),
  retireSeconds: integer(0, 86_400),
  smtp: z.strictObject({
    port,
    securePort: port,
    trustedProxies,
    allowInsecureAuth: choice('never', 'loopback', 'always'),
    maxMessageBytes: integer(1024, 500_000_000),
    maxRecipients: integer(1, 50_000),
    bareNewlines: choice('normalize', 'refuse'),
    maxMessagesPerConnection: integer(1, 1_000_000_000),
    maxConnections: integer(1, 1_000_000),
    maxConnectionsPerAddress: integer(1, 1_000_000),
    maxBufferedBytes: integer(1_048_576, 64 * 2 ** 30),
    maxHeaderBytes: integer(4096, 1_048_576),
    maxAuthFailures: integer(1, 1000),
    maxErrors: integer(1, 100_000),
    maxCommands: integer(1, 1_000_000_000),
    idleTimeoutSeconds: integer(1, 86_400),
    loginTimeoutSeconds: integer(1, 86_400),
    transactionTimeoutSeconds: integer(1, 86_400),
    dataTimeoutSeconds: integer(1, 86_400),
  }),
  auth: z.strictObject({
    maxFailuresPerAddress: integer(0, 1_000_000),
    maxFailuresPerNetwork: integer(0, 1_000_000),
    windowSeconds: integer(1, 86_400),
    blockSeconds: integer(1, 86_400),
    maxDelaySeconds: integer(0, 30),
  }),
  http: z.strictObject({
    port,
    trustedProxies,
    maxRequestsPerMinute: integer(1, 1_000_000_000),
  }),
  tls: z.strictObject({
    cert: optional(text('a file')),
    key: optional(text('a file')),
    certificates: optional(text('a folder')),
  }),
  redis: z.strictObject({
    url: optional(checked(redisFault)),
    durability: choice('strict', 'warn'),
    maxMemoryBytes: integer(16 * 2 ** 20, 2 ** 50),
    minFreeBytes: integer(0, 2 ** 50),
    commandTimeoutSeconds: integer(1, 600),
  }),
  relay: z.strictObject({ url: optional(relayUrls).transform((urls) => (urls?.length ? urls : null)) }),
  delivery: z.strictObject({
    concurrency: integer(1, 10_000),
    retryFirstSeconds: integer(1, 86_400),
    retryFactor: number(
      z.coerce.number('expected a number from 1 to 10').min(1, 'expected 1 to 10').max(10, 'expected 1 to 10'),
    ),
    retryMaxSeconds: integer(1, 604_800),
    giveUpHours: number(z.coerce.number(HOURS).positive(HOURS).max(8760, HOURS)),
    delayWarningHours: optional(number(z.coerce.number(HOURS).positive(HOURS).max(8760, HOURS))),
    connectTimeoutSeconds: integer(1, 600),
    replyTimeoutSeconds: integer(1, 3600),
    transactionTimeoutSeconds: integer(1, 86_400),
    hopPauseSeconds: integer(0, 3600),
    maxMessagesPerConnection: integer(1, 1_000_000),
    idleConnectionSeconds: integer(1, 3600),
    leaseSeconds: integer(1, 3600),
  }),
  spool: z.strictObject({ shards: integer(1, 64) }),
  capture: z.strictObject({ maxMessages: integer(1, 10_000_000), maxBytes: integer(1_048_576, 2 ** 50) }),
  report: z.strictObject({ keepHours: integer(0, 87_600), maxMessages: integer(0, 100_000_000) }),
  sessions: z.strictObject({
    keepPerKey: integer(0, 1000),
    keepPerAddress: integer(0, 1000),
    keepHours: integer(0, 8760),
  }),
  keys: z.strictObject({
    prefix: z.string().regex(/^[A-Za-z0-9_-]{1,20}$/, 'expected 1 to 20 letters, digits, - or _'),
    maxKeys: integer(1, 1_000_000),
    pepper: optional(z.string().min(32, 'expected at least 32 characters')),
  }),
  audit: z.strictObject({ maxEntries: integer(100, 10_000_000) }),
  log: z.strictObject({
    level: choice('trace', 'debug', 'info', 'warn', 'error', 'silent'),
    format: choice('auto', 'json', 'pretty'),
  }),
});

export type Config = z.infer<typeof schema>;
