// Takes the PROXY header off a connection before anything else reads it, a TLS handshake included.
// Promise: no octet behind the header is taken, however the octets were cut into packets.
import type { Socket } from 'node:net';
import { readProxyHeader, type ProxyHeader } from './proxy-header.js';

/** Why there is no header. `left`: the proxy went without a word, as checks of health do. */
type NoProxyHeader = 'left' | 'missing' | 'malformed';

/** Calls back once: with the header, or with why there is none; the caller then destroys the socket. */
export function takeProxyHeader(socket: Socket, callback: (header: ProxyHeader | NoProxyHeader) => void): void {
  let octets: Buffer = Buffer.alloc(0);
  const finish = (result: ProxyHeader | NoProxyHeader): void => {
    socket.off('readable', onReadable).off('end', onEnd).off('close', onClose);
    callback(result);
    // Whoever takes the socket over has a listener of its own by now, or destroys the socket.
    if (typeof result === 'object') socket.off('error', ignore);
  };
  const onReadable = (): void => {
    for (let chunk: Buffer | null; (chunk = socket.read() as Buffer | null) !== null;) {
      octets = Buffer.concat([octets, chunk]);
      const header = readProxyHeader(octets);
      if (header === 'incomplete') continue;
      if (header !== 'malformed' && octets.length > header.length) socket.unshift(octets.subarray(header.length));
      return finish(header);
    }
  };
  const onEnd = (): void => finish(octets.length ? 'missing' : 'left');
  const onClose = (): void => finish('missing');
  const ignore = (): void => {};
  socket.on('readable', onReadable).on('end', onEnd).on('close', onClose).on('error', ignore);
}
