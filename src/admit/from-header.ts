// The addresses of a From field (RFC 5322 3.4), read so strictly that no reader of mail can see another one in it.
// Only keys with a sender restriction ask for this; what is ambiguous is refused, not guessed.
import { parseAddress, type Address } from '../message/address.js';

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)|<([^<>]*)>|[,;:]|[^\s"(),;:<>]+/gsuy;

/** Every address of the field, or undefined when the field cannot be read beyond doubt or holds none. */
export function fromAddresses(value: string): Address[] | undefined {
  const tokens = tokenize(value);
  if (!tokens) return undefined;
  const addresses: Address[] = [];
  for (const member of split(tokens)) {
    const address = memberAddress(member);
    if (!address) return undefined;
    addresses.push(address);
  }
  return addresses.length ? addresses : undefined;
}

/** Tokens without blanks and comments; undefined for stray quotes, brackets, nested comments or groups. */
function tokenize(value: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < value.length) {
    const token = TOKEN.exec(value)?.[0];
    if (token === undefined || token === ';' || token === ':') return undefined;
    if (!/^[\s(]/.test(token)) tokens.push(token);
  }
  return tokens;
}

function split(tokens: string[]): string[][] {
  const members: string[][] = [[]];
  for (const token of tokens) {
    if (token === ',') members.push([]);
    else members.at(-1)!.push(token);
  }
  return members;
}

/** `words <address>`, or an address alone; words with an @ outside quotes make a second address of it. */
function memberAddress(member: string[]): Address | undefined {
  const last = member.at(-1);
  if (last === undefined) return undefined;
  const words = member.slice(0, -1);
  if (words.some((word) => !word.startsWith('"') && /[@<]/.test(word))) return undefined;
  if (!last.startsWith('<') && words.length > 0) return undefined;
  const verdict = parseAddress(last.startsWith('<') ? last.slice(1, -1).trim() : last, true);
  return verdict.ok ? verdict.address : undefined;
}
