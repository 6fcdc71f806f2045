// What a client calls itself in EHLO and HELO (RFC 5321 4.1.1.1): a domain or an address literal. Machines are called
// all sorts of things, so underscores, names without a dot and addresses without brackets are taken too; anything
// that could be more than a name is not.
import { isIP, isIPv4, isIPv6 } from 'node:net';

const MAX_OCTETS = 255;
const NAME = /^(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$/;
/** RFC 5321 4.1.3: IPv4, or IPv6 with its tag. */
const LITERAL = /^\[(?:(IPv6):)?([0-9A-Fa-f.:]+)\]$/i;

export function isHelloName(name: string): boolean {
  if (name.length > MAX_OCTETS) return false;
  if (NAME.test(name) || isIP(name) !== 0) return true;
  const [, tag, address] = LITERAL.exec(name) ?? [];
  return address !== undefined && (tag ? isIPv6(address) : isIPv4(address));
}
