// What the address of a client says about where it is.
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a client is on this machine. IPv4-mapped IPv6 counts as IPv4; what is no address is elsewhere. */
export function isLoopback(address: string): boolean {
  // Nearly every question is about IPv4; the list costs microseconds.
  if (address.startsWith('127.') && isIPv4(address)) return true;
  return isIP(address) !== 0 && loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** `host:port`, with brackets around IPv6. */
export function hostPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
