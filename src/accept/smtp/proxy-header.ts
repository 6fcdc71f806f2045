// The PROXY protocol, versions 1 and 2: how a proxy in front says who its client is
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
// Promise: an exact grammar and a bound; what is neither a header nor the beginning of one is malformed at its first
// wrong octet.
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** A whole header. Without `client` (LOCAL, UNKNOWN) the address of the connection itself counts. */
export interface ProxyHeader {
  /** Octets that it takes; what follows is the client's. */
  length: number;
  client?: { address: string; port: number };
}

const V1_START = Buffer.from('PROXY ');
/** With its CRLF. */
const V1_LONGEST = 107;
const V1_UNKNOWN = /^PROXY UNKNOWN( [\x20-\x7e]*)?$/;
const V1_FIELDS = /^PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/;
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_FIXED = 16;
/** After the fixed part: addresses and TLVs, of which none is of interest here. */
const V2_LONGEST = 4096;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
/** Octets of one address by family and transport: TCP over IPv4, TCP over IPv6. */
const V2_ADDRESS_OCTETS = new Map([
  [0x11, 4],
  [0x21, 16],
]);

/** Reads the header at the beginning of `octets`, all that has arrived so far. */
export function readProxyHeader(octets: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  if (begins(octets, V1_START)) return readText(octets);
  return begins(octets, V2_START) ? readBinary(octets) : 'malformed';
}

/** Whether one is the beginning of the other. */
function begins(octets: Buffer, start: Buffer): boolean {
  const length = Math.min(octets.length, start.length);
  return octets.subarray(0, length).equals(start.subarray(0, length));
}

function readText(octets: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const lf = octets.subarray(0, V1_LONGEST).indexOf('\n');
  if (lf < 0) return octets.length < V1_LONGEST ? 'incomplete' : 'malformed';
  if (octets[lf - 1] !== 0x0d) return 'malformed';
  const line = octets.toString('latin1', 0, lf - 1);
  const length = lf + 1;
  if (V1_UNKNOWN.test(line)) return { length };
  const [, family, source, destination, ...ports] = V1_FIELDS.exec(line) ?? [];
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6;
  if (!source || !isAddress(source) || !isAddress(destination!) || ports.some((port) => +port > 65_535)) {
    return 'malformed';
  }
  return { length, client: { address: source.toLowerCase(), port: Number(ports[0]) } };
}

function readBinary(octets: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const command = octets[12] ?? V2_LOCAL;
  if (command !== V2_LOCAL && command !== V2_PROXY) return 'malformed';
  if (octets.length < V2_FIXED) return 'incomplete';
  const length = octets.readUInt16BE(14);
  const width = command === V2_PROXY ? V2_ADDRESS_OCTETS.get(octets[13]!) : 0;
  // Both addresses and both ports.
  if (length > V2_LONGEST || width === undefined || (width > 0 && length < 2 * width + 4)) return 'malformed';
  if (octets.length < V2_FIXED + length) return 'incomplete';
  const header = { length: V2_FIXED + length };
  if (width === 0) return header;
  const address = ipaddr.fromByteArray([...octets.subarray(V2_FIXED, V2_FIXED + width)]).toString();
  return { ...header, client: { address, port: octets.readUInt16BE(V2_FIXED + 2 * width) } };
}
