// What the address of a client says about where it is.
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a client is on this machine. IPv4-mapped IPv6 counts as IPv4; what is no address is elsewhere. */
export function isLoopback(address: string): boolean {
  // Nearly every question is about IPv4; the list costs microseconds.
  if (address.startsWith('127.') && isIPv4(address)) return true;
  return isIP(address) !== 0 && loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Whether an address is one of `networks` (addresses, or networks as 10.0.0.0/8) or in one of them. */
export function networkList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const entry of networks) {
    const [address, bits] = entry.split('/') as [string, string?];
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) =>
    networks.length > 0 && isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** `host:port`, with brackets around IPv6. */
export function hostPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What counts as one client, and the wider network that it is in, as text: a.b.c.d and /24, or IPv6 /64 and /48. */
export interface ClientNetworks {
  address: string;
  network: string;
}

/** Asked for twice for each connection. */
const known = new Map<string, ClientNetworks>();
const MAX_KNOWN = 1000;

/** @param text a client's address, or a network as this function gave it; what is neither counts as one client. */
export function clientNetworks(text: string): Readonly<ClientNetworks> {
  const found = known.get(text);
  if (found) return found;
  if (known.size >= MAX_KNOWN) known.clear();
  const networks = networksOf(text);
  known.set(text, networks);
  return networks;
}

function networksOf(text: string): ClientNetworks {
  const bare = text.replace(/[/%].*$/s, '');
  if (!ipaddr.isValid(bare)) return { address: 'unknown', network: 'unknown' };
  const ip = ipaddr.process(bare);
  const network = (bits: number): string => {
    const octets = ip.toByteArray().map((octet, at) => octet & (0xff << Math.max(0, 8 - Math.max(0, bits - 8 * at))));
    return `${ipaddr.fromByteArray(octets).toString()}/${bits}`;
  };
  return ip.kind() === 'ipv4'
    ? { address: ip.toString(), network: network(24) }
    : { address: network(64), network: network(48) };
}
