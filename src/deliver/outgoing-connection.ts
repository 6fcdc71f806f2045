// nodemailer's SMTPConnection, with two things of our own: DSN parameters (RFC 3461) for each recipient, where the
// library has one set for all; and a body in memory goes out in one write, dots stuffed and the end of data behind it.
// It uses private members, which test/deliver guards against an upgrade.
import type { Socket } from 'node:net';
import SMTPConnection from 'nodemailer/lib/smtp-connection';

type Done = (error: Error | null, reply?: string) => void;

interface Internals {
  _socket: Socket;
  _supportedExtensions: string[];
  _responseActions: ((reply: string) => void)[];
  _sendRcpt(recipient: string, callback: unknown): void;
  _createSendStream(done: Done): unknown;
  _actionSMTPStream(reply: string, done: Done): void;
}

const library = SMTPConnection.prototype as unknown as Internals;
const END = Buffer.from('.\r\n');
const LINE_END_AND_END = Buffer.from('\r\n.\r\n');

export class OutgoingConnection extends SMTPConnection {
  /** Of the transaction under way: parameters of RCPT by address, with a leading space. */
  rcptArguments: ReadonlyMap<string, string> | undefined;
  /** Of the transaction under way: the message, when it is all in memory. Its line ends are CRLF, and nothing else. */
  wholeBody: Buffer | undefined;
  #arguments = '';

  /** @internal Called by the library for each recipient. */
  protected _sendRcpt(recipient: string, callback: unknown): void {
    this.#arguments = this.rcptArguments?.get(recipient) ?? '';
    library._sendRcpt.call(this as unknown as Internals, recipient, callback);
  }

  /** @internal Called by the library for what stands behind the path. */
  protected _getDsnRcptToArgs(): string {
    return (this as unknown as Internals)._supportedExtensions.includes('DSN') ? this.#arguments : '';
  }

  /** @internal Called by the library behind the 354; what it returns is what the message is piped to. */
  protected _createSendStream(done: Done): unknown {
    const internals = this as unknown as Internals;
    const body = this.wholeBody;
    if (!body) return library._createSendStream.call(internals, done);
    internals._responseActions.push((reply) => internals._actionSMTPStream(reply, done));
    const pieces = framed(body);
    const socket = internals._socket;
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
    return { outByteCount: pieces.reduce((sum, { length }) => sum + length, 0) };
  }
}

/** A message as DATA wants it (RFC 5321 4.5.2), in few pieces. */
export function framed(body: Buffer): Buffer[] {
  const end = body.length === 0 || (body.at(-2) === 0x0d && body.at(-1) === 0x0a) ? END : LINE_END_AND_END;
  const dots = lineDots(body);
  return [dots.length ? stuffed(body, dots) : body, end];
}

/** Where lines begin with a dot. */
function lineDots(body: Buffer): number[] {
  const dots = body[0] === 0x2e ? [0] : [];
  for (let at = body.indexOf('\r\n.'); at >= 0; at = body.indexOf('\r\n.', at + 3)) dots.push(at + 2);
  return dots;
}

function stuffed(body: Buffer, dots: number[]): Buffer {
  const out = Buffer.allocUnsafe(body.length + dots.length);
  let from = 0;
  let to = 0;
  for (const dot of dots) {
    to += body.copy(out, to, from, dot);
    out[to++] = 0x2e;
    from = dot;
  }
  body.copy(out, to, from);
  return out;
}
