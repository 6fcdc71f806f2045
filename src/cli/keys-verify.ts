// postern keys verify: is this key good, and what would it be allowed? The key is read on standard input.
import type { Command } from 'commander';
import { systemClock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import { readAddressOrDomain } from '../keys/restriction-text.js';
import type { Verdict } from '../keys/verify.js';
import type { Address } from '../message/address.js';
import { answer, configOf } from './context.js';
import { printSteps, readIp, rulesOf, stepsAsJson, verifierOf } from './explain.js';
import { walk, type Step } from './explain-walk.js';
import { keyAsJson, keyLines } from './key-view.js';
import { printable, time } from './output.js';
import { usable } from './restriction-options.js';
import { withStore } from './store-session.js';

/** Who sends, or who is sent to. */
interface Side {
  address: Address;
  isWhole: boolean;
}

interface VerifyOptions {
  ip?: string;
  from?: Side;
  to?: Side;
}

export function verifyCommand(keys: Command): void {
  keys
    .command('verify')
    .description('read a key on standard input and say whether it would be accepted')
    .option('--ip <address>', 'as if from this client address', readIp, '127.0.0.1')
    .option('--from <address>', 'as if sending as', usable(readSide))
    .option('--to <address>', 'as if sending to', usable(readSide))
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  printf %s "$KEY" | postern keys verify --from app@example.com')
    .action(async (options: VerifyOptions, self: Command) => {
      const text = await readStandardInput();
      const { verdict, steps } = await verify(self, text, options);
      const problems = steps.filter(({ outcome }) => outcome === 'refuses').map(({ why }) => why);
      print(self, verdict, steps, problems);
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

/** The key on a connection with TLS, since nothing else was said. */
function verify(self: Command, text: string, options: VerifyOptions): Promise<{ verdict: Verdict; steps: Step[] }> {
  const config = configOf(self);
  return withStore(config, async ({ redis, keys }) => {
    const verdict = await (await verifierOf(config, keys)).verify(text, options.ip!);
    const { from, to } = options;
    const attempt = {
      ...{ client: { address: options.ip!, secure: true }, verdict },
      ...{ from: from?.address, to: to ? [to.address] : [] },
      headerFrom: from?.isWhole ? [from.address.text] : [],
    };
    return { verdict, steps: await walk(rulesOf(config, redis), attempt) };
  });
}

/** A domain stands for any address in it, which no list of single addresses has. */
function readSide(text: string): Side {
  const at = readAddressOrDomain(text).lastIndexOf('@');
  const [local, domain] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1).toLowerCase()];
  return { address: { text, local, domain }, isWhole: at > 0 };
}

function print(self: Command, verdict: Verdict, steps: Step[], problems: string[]): void {
  const key = 'key' in verdict ? verdict.key : undefined;
  const isOld = verdict.kind === 'valid' && verdict.secret.isOld;
  const value = {
    verdict: verdict.kind,
    ...(isOld && { old_secret: true }),
    may_send: problems.length === 0,
    reasons: problems,
    ...(key && { key: keyAsJson(key, systemClock.now()) }),
    stages: stepsAsJson(steps),
  };
  answer(self, value, (out) => {
    out.line(problems.length ? `refused: ${problems.join('; ')}` : 'accepted: the key may send mail');
    if (key && isOld) out.line(`this is its old secret, which is good until ${time(key.previousUntil)}`);
    if (key) keyLines(key).forEach((line) => out.line(printable(line)));
    printSteps(out, steps);
  });
}
