// Cuts the bytes of one direction of an SMTP connection into lines and messages, wherever the chunks happen to end.
// Only CRLF ends a line and only CRLF.CRLF ends a message (RFC 5321, 2.3.8 and 4.1.1.4): a peer that sends anything
// else waits for ever, which is what a test of that peer should see.
const LINE_END = '\r\n';
const MESSAGE_END = '\r\n.\r\n';
const DOT_LINE = '\r\n.';

export class SmtpInput {
  #pending: Buffer = Buffer.alloc(0);
  #body: Buffer[] = [];
  // The CRLF of the DATA command counts as the one in front of the first line of the message.
  #tail: Buffer = Buffer.from(LINE_END);

  push(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
  }

  /** The next line without its CRLF, or undefined until it has come whole. */
  line(): string | undefined {
    const end = this.#pending.indexOf(LINE_END);
    if (end < 0) return undefined;
    const line = this.#pending.toString('utf8', 0, end);
    this.#pending = this.#pending.subarray(end + LINE_END.length);
    return line;
  }

  /** The next message with its last CRLF, without dot-stuffing, or undefined until CRLF.CRLF has come. */
  message(): Buffer | undefined {
    const chunk = this.#pending;
    const probe = Buffer.concat([this.#tail, chunk]);
    const at = probe.indexOf(MESSAGE_END);
    const end = at < 0 ? chunk.length : at + MESSAGE_END.length - this.#tail.length;
    this.#body.push(chunk.subarray(0, end));
    this.#pending = chunk.subarray(end);
    this.#tail = probe.subarray(-(MESSAGE_END.length - 1));
    return at < 0 ? undefined : this.#takeBody();
  }

  #takeBody(): Buffer {
    const stuffed = Buffer.concat(this.#body);
    this.#body = [];
    this.#tail = Buffer.from(LINE_END);
    return unstuff(stuffed.subarray(0, stuffed.length - '.\r\n'.length));
  }
}

/** Takes the first dot off every line that begins with one (RFC 5321, 4.5.2). */
function unstuff(stuffed: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let start = stuffed[0] === 0x2e ? 1 : 0;
  for (;;) {
    const at = stuffed.indexOf(DOT_LINE, start);
    if (at < 0) break;
    pieces.push(stuffed.subarray(start, at + LINE_END.length));
    start = at + DOT_LINE.length;
  }
  return Buffer.concat([...pieces, stuffed.subarray(start)]);
}
