// nodemailer's SMTPConnection, with two things of our own: DSN parameters (RFC 3461) for each recipient, where the
// library has one set for all; and the framing of a message (RFC 5321 4.5.2), which looks for dots behind line ends where
// the library looks at each octet. A body in memory goes out in one write, with the end of data behind it.
// It uses private members, which test/deliver guards against an upgrade.
import type { Socket } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';
import SMTPConnection from 'nodemailer/lib/smtp-connection';

type Done = (error: Error | null, reply?: string) => void;

interface Internals {
  _socket: Socket;
  _supportedExtensions: string[];
  _responseActions: ((reply: string) => void)[];
  _sendRcpt(recipient: string, callback: unknown): void;
  /** Ended with the connection. */
  _currentDataStream: Transform | false;
  _actionSMTPStream(reply: string, done: Done): void;
}

const library = SMTPConnection.prototype as unknown as Internals;
const LF = 0x0a;
const DOT = 0x2e;
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
    internals._responseActions.push((reply) => internals._actionSMTPStream(reply, done));
    const socket = internals._socket;
    const body = this.wholeBody;
    if (!body) return this.#framedTo(socket, internals);
    socket.cork();
    for (const piece of framed(body)) socket.write(piece);
    socket.uncork();
    return {};
  }

  #framedTo(socket: Socket, internals: Internals): Framing {
    const framing = new Framing();
    internals._currentDataStream = framing;
    framing.once('end', () => {
      if (internals._currentDataStream === framing) internals._currentDataStream = false;
    });
    framing.pipe(socket, { end: false });
    return framing;
  }
}

/** A message as DATA wants it, in few pieces. Its line ends are CRLF, and nothing else. */
export function framed(body: Buffer): Buffer[] {
  return [stuffed(body, undefined), endBehind(body.at(-1))];
}

/** The same for a message that comes in pieces, which may end anywhere. */
export class Framing extends Transform {
  #last: number | undefined;

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const before = this.#last;
    this.#last = piece.at(-1) ?? before;
    done(null, stuffed(piece, before));
  }

  override _flush(done: TransformCallback): void {
    done(null, endBehind(this.#last));
  }
}

/** @param last the last octet of the message, undefined when it has none. */
const endBehind = (last: number | undefined): Buffer => (last === undefined || last === LF ? END : LINE_END_AND_END);

/** @param before the octet in front of `piece`, undefined at the start of the message. */
function stuffed(piece: Buffer, before: number | undefined): Buffer {
  const dots = lineDots(piece, before);
  return dots.length ? withDots(piece, dots) : piece;
}

/** Where lines begin with a dot. */
function lineDots(piece: Buffer, before: number | undefined): number[] {
  const dots = piece[0] === DOT && (before === undefined || before === LF) ? [0] : [];
  // The CR of this line end was in the piece before.
  if (piece[0] === LF && piece[1] === DOT) dots.push(1);
  for (let at = piece.indexOf('\r\n.'); at >= 0; at = piece.indexOf('\r\n.', at + 3)) dots.push(at + 2);
  return dots;
}

function withDots(body: Buffer, dots: number[]): Buffer {
  const out = Buffer.allocUnsafe(body.length + dots.length);
  let from = 0;
  let to = 0;
  for (const dot of dots) {
    to += body.copy(out, to, from, dot);
    out[to++] = DOT;
    from = dot;
  }
  body.copy(out, to, from);
  return out;
}
