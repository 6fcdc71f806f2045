// Restrictions as people write them: `90d`, `100/1m`, `10.0.0.0/8`. Each reader says what is allowed when it refuses.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { OperatorError } from '../base/fault.js';
import type { Allowance } from './policy.js';

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** `30s`, `15m`, `24h`, `90d`, `2w` in seconds. */
export function readDuration(text: string): number {
  const match = /^([1-9]\d{0,8})([smhdw])$/.exec(text);
  if (!match)
    throw new OperatorError(`'${text}' is not a duration; write a number and a unit, such as 30s, 15m, 24h, 90d`);
  return Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS];
}

/** `100/1m`: so many messages in such a time. */
export function readAllowance(text: string): Allowance {
  const match = /^([1-9]\d{0,8})\/(.+)$/.exec(text);
  if (!match) throw new OperatorError(`'${text}' is not a rate; write messages/time, such as 100/1m or 10000/1d`);
  return { messages: Number(match[1]), seconds: readDuration(match[2]!) };
}

/** A network in CIDR notation; a single address is a network of one. */
export function readNetwork(text: string): string {
  const [address, length, ...more] = text.split('/');
  const version = isIP(address!);
  const single = length === undefined ? `${text}/${version === 4 ? 32 : 128}` : text;
  if (!version || more.length || !ipaddr.isValidCIDR(single)) {
    throw new OperatorError(`'${text}' is not a network; write an address or CIDR, such as 192.0.2.7 or 10.0.0.0/8`);
  }
  const [base, bits] = ipaddr.parseCIDR(single);
  if (base.kind() === 'ipv6' && (base as ipaddr.IPv6).isIPv4MappedAddress() && bits >= 96) {
    return `${(base as ipaddr.IPv6).toIPv4Address().toString()}/${bits - 96}`;
  }
  return `${base.toString()}/${bits}`;
}

/** An address or a domain that senders or recipients must match. */
export function readAddressOrDomain(text: string): string {
  const domain = text.slice(text.lastIndexOf('@') + 1);
  const good = !/\s/.test(text) && !text.startsWith('@') && /^[^\s@.]+(\.[^\s@.]+)+$/.test(domain);
  if (!good)
    throw new OperatorError(`'${text}' is neither an address nor a domain, such as app@example.com or example.com`);
  return text;
}

/** A whole number of at least 1. */
export function readCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1) {
    throw new OperatorError(`'${text}' is not a whole number of at least 1`);
  }
  return count;
}

/** Seconds in the largest unit that divides them: 5400 -> `90m`. */
function durationText(seconds: number): string {
  const unit = (['w', 'd', 'h', 'm'] as const).find((name) => seconds % SECONDS[name] === 0) ?? 's';
  return `${seconds / SECONDS[unit]}${unit}`;
}

export const allowanceText = (allowance: Allowance): string =>
  `${allowance.messages}/${durationText(allowance.seconds)}`;
