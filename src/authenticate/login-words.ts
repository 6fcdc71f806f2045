// What is wrong with credentials, in words that give nothing of them away: for the operator, never for the client.
import { parseKey } from '../keys/shape.js';
import type { Credentials } from './sasl.js';

/** Two remarks, on the user name and on the password. @param prefix of keys. */
export function describeCredentials({ username, password }: Credentials, prefix: string): string[] {
  return [`user name: ${nameWords(username, prefix)}`, `password: ${passwordWords(password, prefix)}`];
}

function nameWords(name: string, prefix: string): string {
  if (name === 'apikey') return 'exactly apikey, as it must be';
  const close = name.trim().toLowerCase() === 'apikey' ? '; only blanks or capitals differ' : '';
  const swapped = parseKey(prefix, name.trim()) ? '; it is a key: it belongs into the password' : '';
  return `not exactly apikey, ${characters(name)}${edges(name)}${close}${swapped}`;
}

function passwordWords(password: string, prefix: string): string {
  if (password === '') return 'empty';
  const begins = password.startsWith(`${prefix}.`) ? 'begins' : 'does not begin';
  const sum = parseKey(prefix, password) ? 'right' : 'wrong';
  const words = `${characters(password)}, ${begins} with ${prefix}., checksum ${sum}`;
  return `${words}${edges(password)}${sum === 'wrong' ? hint(password, prefix) : ''}`;
}

/** What makes a key of it. */
function hint(password: string, prefix: string): string {
  const bare = password.trim().replace(/^(["'])(.*)\1$/s, '$2');
  if (parseKey(prefix, bare)) return '; without blanks and quotes around it, it is a key';
  if (parseKey(prefix, Buffer.from(bare, 'base64').toString().trim())) return '; it is a key in base64 once too often';
  const length = prefix.length + 67;
  return bare.length === length ? '' : `; a key has ${length} characters`;
}

const characters = (text: string): string => `${text.length} character${text.length === 1 ? '' : 's'}`;

function edges(text: string): string {
  const found = [
    ...(/^[\r\n]/.test(text) ? ['a leading newline'] : /^\s/.test(text) ? ['a leading blank'] : []),
    ...(/[\r\n]$/.test(text) ? ['a trailing newline'] : /\s$/.test(text) ? ['a trailing blank'] : []),
  ];
  return found.length ? `, with ${found.join(' and ')}` : '';
}
