// The options by which a key is restricted, the same for `keys create` and `keys update`.
import { InvalidArgumentError, type Command } from 'commander';
import { messageOf } from '../base/fault.js';
import type { Restrictions } from '../keys/policy.js';
import { readAddressOrDomain, readAllowance, readCount, readDuration, readNetwork } from '../keys/restriction-text.js';
import type { Allowance } from '../keys/policy.js';

export interface RestrictionOptions {
  from?: string[];
  to?: string[];
  ip?: string[];
  expires?: number;
  rate?: Allowance;
  quota?: Allowance;
  maxBytes?: number;
  maxRecipients?: number;
  requireTls?: boolean;
}

export function addRestrictionOptions(command: Command): Command {
  return command
    .option(
      '--from <address|domain>',
      'may send as this address or domain only (repeatable)',
      collect(readAddressOrDomain),
    )
    .option(
      '--to <address|domain>',
      'may send to this address or domain only (repeatable)',
      collect(readAddressOrDomain),
    )
    .option('--ip <cidr>', 'may be used from this network only (repeatable)', collect(readNetwork))
    .option('--expires <duration>', 'ends after this time, such as 90d', usable(readDuration))
    .option(
      '--rate <messages/time>',
      'at most so many messages in any such time, such as 100/1m',
      usable(readAllowance),
    )
    .option('--quota <messages/time>', 'at most so many messages per period, such as 10000/1d', usable(readAllowance))
    .option('--max-bytes <n>', 'largest message', usable(readCount))
    .option('--max-recipients <n>', 'recipients of one message', usable(readCount))
    .option('--require-tls', 'may be used over TLS only');
}

/** What was given, as the restrictions that are stored. @param now milliseconds since the epoch. */
export function restrictionsOf(options: RestrictionOptions, now: number): Restrictions {
  const { from, to, ip, expires, rate, quota, maxBytes, maxRecipients, requireTls } = options;
  return {
    ...(from && { from }),
    ...(to && { to }),
    ...(ip && { ips: ip }),
    ...(expires !== undefined && { expires_at: Math.floor(now / 1000) + expires }),
    ...(rate && { rate }),
    ...(quota && { quota }),
    ...(maxBytes !== undefined && { max_bytes: maxBytes }),
    ...(maxRecipients !== undefined && { max_recipients: maxRecipients }),
    ...(requireTls && { require_tls: true }),
  };
}

/** A reader of text as commander wants it: what it refuses is wrong usage. */
export function usable<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  };
}

/** For options that may be given again and again. */
export function collect<T>(read: (text: string) => T): (text: string, before?: T[]) => T[] {
  return (text, before = []) => [...before, usable(read)(text)];
}
