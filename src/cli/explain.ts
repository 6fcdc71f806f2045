// postern explain: why can this client not send? Walks an attempt through the rules of the server, and says of each
// what it decides and what the client reads. Needs the id of a key, never the key.
import { isIP } from 'node:net';
import { InvalidArgumentError, type Command } from 'commander';
import { Allowances } from '../admit/allowance.js';
import { Policy } from '../admit/policy.js';
import { FailureCount } from '../authenticate/failure-count.js';
import { clientNetworks } from '../base/address.js';
import { systemClock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import { ID_PATTERN } from '../base/ids.js';
import type { RedisClient } from '../base/redis.js';
import type { Config } from '../config.js';
import { addressMatches } from '../keys/policy.js';
import { readCount } from '../keys/restriction-text.js';
import type { KeyStore } from '../keys/store.js';
import { currentSecret, KeyVerifier, type Verdict } from '../keys/verify.js';
import { parseAddress, type Address } from '../message/address.js';
import { answer, configOf } from './context.js';
import { walk, type Rules, type Step } from './explain-walk.js';
import { keyAsJson, keyLines } from './key-view.js';
import { colour, printable, type Output } from './output.js';
import { collect, usable } from './restriction-options.js';
import { openPepper, withStore } from './store-session.js';

interface ExplainOptions {
  keyId: string;
  ip: string;
  from?: Address | '<>';
  headerFrom?: string[];
  to?: Address[];
  tls: boolean;
  size?: number;
}

const EXAMPLE = '  postern explain --key-id "$ID" --from app@example.com --to you@example.org --ip 192.0.2.7 --no-tls';

export function explainCommand(program: Command): void {
  program
    .command('explain')
    .description('say which rule allows or refuses a message of a key, at which stage, and what the client reads')
    .requiredOption('--key-id <id>', 'the 22 characters between the dots of the key', readKeyId)
    .option('--from <address>', 'MAIL FROM, also the From field; <> is the null sender', usable(readSender))
    .option('--header-from <field>', 'the From field, where it differs (repeatable)', collect(String))
    .option('--to <address>', 'a recipient (repeatable)', collect(readMailbox))
    .option('--ip <address>', 'the address of the client', readIp, '127.0.0.1')
    .option('--tls', 'over TLS (so it is, if nothing is said)', true)
    .option('--no-tls', 'without TLS')
    .option('--size <bytes>', 'octets of the message', usable(readCount))
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExample:\n${EXAMPLE}\nExit code: 0 allowed, 1 refused, 2 wrong usage.`)
    .action(async (options: ExplainOptions, self: Command) => {
      const { verdict, steps } = await explain(configOf(self), options);
      print(self, verdict, steps);
      if (firstRefusing(steps)) process.exitCode = 1;
    });
}

function explain(config: Config, options: ExplainOptions): Promise<{ verdict: Verdict; steps: Step[] }> {
  const { keyId, ip: address, tls: secure, from, to = [], size } = options;
  const headerFrom = options.headerFrom ?? (from && from !== '<>' ? [from.text] : []);
  return withStore(config, async ({ redis, keys }) => {
    const verifier = await verifierOf(config, keys);
    const record = await keys.find(keyId);
    const verdict: Verdict = record
      ? await verifier.recheck(keyId, currentSecret(record).mark, address)
      : { kind: 'unknown' };
    const attempt = { client: { address, secure }, verdict, from, headerFrom, to, size };
    return { verdict, steps: await walk(rulesOf(config, redis), attempt) };
  });
}

/** Judges keys as the server does, and asks the store each time. @throws OperatorError */
export async function verifierOf(config: Config, store: KeyStore): Promise<KeyVerifier> {
  const secrets = { prefix: config.keys.prefix, pepper: await openPepper(config, store) };
  const directory = { find: (id: string) => store.find(id), cached: () => undefined };
  return new KeyVerifier(directory, secrets, systemClock);
}

/** The rules of a server with this configuration. */
export function rulesOf(config: Config, redis: RedisClient): Rules {
  const count = new FailureCount(redis, config.auth);
  return {
    policy: new Policy(addressMatches, config.smtp),
    allowances: new Allowances(redis, systemClock),
    allowInsecureAuth: config.smtp.allowInsecureAuth,
    blockedMs: async (address) => {
      const now = systemClock.now();
      return Math.max(0, (await count.blockedUntil(clientNetworks(address), now)) - now);
    },
  };
}

function print(self: Command, verdict: Verdict, steps: Step[]): void {
  const key = 'key' in verdict ? verdict.key : undefined;
  const first = firstRefusing(steps);
  const value = {
    allowed: !first,
    first_refusal: first ? stepAsJson(first) : null,
    stages: stepsAsJson(steps),
    ...(key && { key: keyAsJson(key, systemClock.now()) }),
  };
  answer(self, value, (out) => {
    if (!first) out.line('allowed: such a message would be taken now');
    else out.line(printable(`refused at ${first.stage} by the rule ${first.rule}: ${replyOf(first)}`));
    if (key) keyLines(key).forEach((line) => out.line(printable(line)));
    printSteps(out, steps);
  });
}

const firstRefusing = (steps: Step[]): Step | undefined => steps.find(({ outcome }) => outcome === 'refuses');

/** Each step as a line, the first that refuses marked, with what the client reads below those that refuse. */
export function printSteps(out: Output, steps: Step[]): void {
  const first = firstRefusing(steps);
  for (const step of steps) {
    const colours = { allows: 'green', refuses: 'red', 'not judged': 'dim' } as const;
    const outcome = colour(colours[step.outcome], step.outcome.padEnd(10));
    const mark = step === first ? '>' : ' ';
    const words = `${step.stage.padEnd(11)}  ${step.rule.padEnd(22)}`;
    out.line(`${mark} ${words}  ${outcome}  ${printable(step.why)}`);
    if (step.refusal) out.line(`${' '.repeat(51)}${printable(replyOf(step))}`);
  }
}

function replyOf({ refusal }: Step): string {
  return refusal ? `${refusal.row.code} ${refusal.row.enhanced} ${refusal.text}` : '';
}

function stepAsJson({ stage, rule, outcome, why, refusal }: Step) {
  const reply = refusal && { code: refusal.row.code, enhanced: refusal.row.enhanced, text: refusal.text };
  return { stage, rule, outcome, why, ...(refusal && { reason: refusal.reason, reply }) };
}

/** The steps for programs, the first that refuses marked. */
export function stepsAsJson(steps: Step[]) {
  const first = firstRefusing(steps);
  return steps.map((step) => ({ ...stepAsJson(step), ...(step === first && { first: true }) }));
}

function readKeyId(text: string): string {
  if (!ID_PATTERN.test(text)) throw new InvalidArgumentError('expected the 22 characters between the dots of a key');
  return text;
}

export function readIp(text: string): string {
  if (!isIP(text)) throw new InvalidArgumentError('expected an address, such as 192.0.2.7 or 2001:db8::7');
  return text;
}

const readSender = (text: string): Address | '<>' => (text === '<>' || text === '' ? '<>' : readMailbox(text));

function readMailbox(text: string): Address {
  const verdict = parseAddress(text, true);
  if (verdict.ok) return verdict.address;
  throw new OperatorError(`'${text}' is no address that the server takes (${verdict.fault}), such as app@example.com`);
}
