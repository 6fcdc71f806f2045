// The smtp-server library with nothing behind it: any password is right, and messages are read and thrown away. It is
// the ceiling for a server built on the library. It greets at once, as Postern does: the library's own pause of 100 ms
// before every greeting would be all that is measured with a connection per message.
// `node --import tsx test/bench/bare-server.ts` prints {"port":N} and ends with its standard input.
import type { AddressInfo, Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import { makeCertificate } from '../support/certificate.js';

class PromptConnection extends SMTPConnection {
  override init(): void {
    this._setListeners(() => this.connectionReady());
  }
}

class PromptServer extends SMTPServer {
  override connect(socket: Socket, options?: SMTPConnectionOptions): void {
    const connection = new PromptConnection(this, socket, options);
    this.connections.add(connection);
    connection.on('error', () => {});
    connection.init();
  }
}

const server = new PromptServer({
  ...(await makeCertificate()),
  logger: false,
  disableReverseLookup: true,
  allowInsecureAuth: true,
  size: 31_457_280,
  onAuth: ({ username }, _session, done) => done(null, { user: username }),
  onData: (stream, _session, done) => {
    stream.on('end', () => done());
    stream.resume();
  },
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.server.address() as AddressInfo).port }));
});
process.stdin.on('end', () => process.exit(0)).resume();
