// postern keys verify: is this key good, and what would it be allowed? The key is read on standard input.
import type { Command } from 'commander';
import { systemClock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import { addressMatches } from '../keys/policy.js';
import type { KeyRecord } from '../keys/record.js';
import { allows } from '../keys/scopes.js';
import { KeyVerifier, type Verdict } from '../keys/verify.js';
import { answer, configOf } from './context.js';
import { keyAsJson, restrictionsText, scopesText } from './key-view.js';
import { time } from './output.js';
import { readAddressOrDomain } from '../keys/restriction-text.js';
import { usable } from './restriction-options.js';
import { openPepper, withStore } from './store-session.js';

interface VerifyOptions {
  ip?: string;
  from?: string;
  to?: string;
}

const EXPLAIN: Record<Verdict['kind'], string> = {
  valid: 'the key is valid',
  malformed: 'this is not a key: its shape or its checksum is wrong',
  unknown: 'no such key was made here, or its secret is wrong',
  revoked: 'the key was revoked',
  expired: 'the key has expired',
  rotated: 'this secret of the key was replaced, and the time in which both were good is over',
  'denied-ip': 'the key may not be used from this address',
  unavailable: 'the key cannot be checked now: Redis is away',
};

export function verifyCommand(keys: Command): void {
  keys
    .command('verify')
    .description('read a key on standard input and say whether it would be accepted')
    .option('--ip <address>', 'as if from this client address', '127.0.0.1')
    .option('--from <address>', 'as if sending as', usable(readAddressOrDomain))
    .option('--to <address>', 'as if sending to', usable(readAddressOrDomain))
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  printf %s "$KEY" | postern keys verify --from app@example.com')
    .action(async (options: VerifyOptions, self: Command) => {
      const text = await readStandardInput();
      const verdict = await verify(self, text, options.ip!);
      const problems = verdict.kind === 'valid' ? refusals(verdict.key, options) : [EXPLAIN[verdict.kind]];
      print(self, verdict, problems);
      if (problems.length) process.exitCode = 1;
    });
}

async function readStandardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('key: ');
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (process.stdin.isTTY && text.includes('\n')) break;
  }
  if (text.trim() === '') throw new OperatorError('no key on standard input');
  return text.trim();
}

function verify(self: Command, text: string, address: string): Promise<Verdict> {
  const config = configOf(self);
  return withStore(config, async ({ keys: store }) => {
    const secrets = { prefix: config.keys.prefix, pepper: await openPepper(config, store) };
    const directory = { find: (id: string) => store.find(id), cached: () => undefined };
    return new KeyVerifier(directory, secrets, systemClock).verify(text, address);
  });
}

function refusals(key: KeyRecord, { from, to }: VerifyOptions): string[] {
  const { restrictions, scopes } = key;
  const outside = (list: string[] | undefined, address: string | undefined): boolean => {
    if (!list || address === undefined) return false;
    const at = address.lastIndexOf('@');
    return !addressMatches(list, address.slice(0, Math.max(at, 0)), address.slice(at + 1).toLowerCase());
  };
  return [
    ...(allows(scopes, 'mail.send') ? [] : ['the key may not send mail: it lacks the scope mail.send']),
    ...(outside(restrictions.from, from) ? [`the key may not send as ${from}`] : []),
    ...(outside(restrictions.to, to) ? [`the key may not send to ${to}`] : []),
  ];
}

function print(self: Command, verdict: Verdict, problems: string[]): void {
  const key = 'key' in verdict ? verdict.key : undefined;
  const isOld = verdict.kind === 'valid' && verdict.secret.isOld;
  const value = {
    verdict: verdict.kind,
    ...(isOld && { old_secret: true }),
    may_send: problems.length === 0,
    reasons: problems,
    ...(key && { key: keyAsJson(key, systemClock.now()) }),
  };
  answer(self, value, (out) => {
    out.line(problems.length ? `refused: ${problems.join('; ')}` : 'accepted: the key may send mail');
    if (!key) return;
    if (isOld) out.line(`this is its old secret, which is good until ${time(key.previousUntil)}`);
    out.line(`key ${key.id} (${key.name}), ${scopesText(key)}`);
    restrictionsText(key.restrictions).forEach((line) => out.line(`restricted: ${line}`));
  });
}
