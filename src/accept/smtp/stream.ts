// The octets of a connection, cut into commands and messages. Stricter than smtp-server's own parser, whose place it
// takes: a command ends with CRLF and holds no other CR, LF or NUL; a message ends with CRLF.CRLF and nothing else;
// exactly the dots that begin a line after CRLF are unstuffed, in one pass, whatever their number.
// Uses private members of smtp-server, which is therefore pinned; test/accept/stream.test.ts guards an upgrade.
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';

/** RFC 4954 4: the longest line, that of AUTH, line end included. */
const MAX_LINE = 12_288;
/** Enough of a line to tell which command it was. */
const START_KEPT = 16;
/** Pipelined commands that are answered before others get their turn. */
const COMMANDS_AT_ONCE = 100;

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
/** Runs shorter than this are looked through and copied here: a call into the runtime for each line costs more. */
const SHORT_RUN = 64;
const EMPTY = Buffer.alloc(0);

type Done = (error?: Error | null) => void;

export interface StreamEvents {
  /** A command line without its CRLF; `next` must be called when the next one may come. */
  onLine(line: Buffer, next: () => void): void;
  /** A line longer than any command may be. @param start its first octets. */
  onLineTooLong(start: Buffer, next: () => void): void;
  onBadLineEnding(): void;
  /** The client will send no more, and everything it sent has been answered; in a message, it was not complete. */
  onEnd(): void;
}

export class StrictStream extends SMTPStream {
  #pending: Buffer = EMPTY;
  /** The start of a line that is too long, while the rest of it is thrown away. */
  #skipped: Buffer | undefined;
  /** Whether a CR or NUL was thrown away with it. */
  #skippedBad = false;
  /** Octets of a message that may be part of its end: a prefix of CRLF.CRLF. */
  #carry: Buffer = EMPTY;
  #atStart = false;

  constructor(private readonly events: StreamEvents) {
    super();
  }

  override startDataMode(maxBytes?: number): ReturnType<SMTPStream['startDataMode']> {
    this.#carry = EMPTY;
    this.#atStart = true;
    return super.startDataMode(maxBytes);
  }

  /** As the library's, but the next message may begin and end before this returns. */
  override continue(): void {
    const go = this._continueCallback;
    this._continueCallback = typeof go !== 'function';
    if (typeof go === 'function') go();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.isClosed) return done();
    if (this._dataMode) return this._feedDataStream(chunk, done);
    this.#pending = this.#pending.length ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#readLines(done);
  }

  /** A line that the connection's end cut off is not a command. */
  override _flushData(): void {
    if (!this.isClosed) this.events.onEnd();
  }

  #readLines(done: Done): void {
    let budget = COMMANDS_AT_ONCE;
    const step = (): void => {
      for (;;) {
        if (this.isClosed) return done();
        if (this._dataMode) return this.#enterData(done);
        const line = this.#nextLine();
        if (!line) return done();
        if (budget-- === 0) {
          budget = COMMANDS_AT_ONCE;
          return void setImmediate(() => this.#dispatch(line, step));
        }
        let sync = true;
        let answered = false;
        this.#dispatch(line, () => {
          if (sync) answered = true;
          else step();
        });
        sync = false;
        if (!answered) return;
      }
    };
    step();
  }

  #enterData(done: Done): void {
    const rest = this.#pending;
    this.#pending = EMPTY;
    if (rest.length) this._feedDataStream(rest, done);
    else done();
  }

  /** The next whole line, its line end included, taken from what is pending. */
  #nextLine(): Buffer | undefined {
    const end = this.#pending.indexOf(LF);
    if (end < 0) {
      if (this.#pending.length <= MAX_LINE) return undefined;
      this.#skipped ??= Buffer.from(this.#pending.subarray(0, START_KEPT));
      // The last octet is kept: it may be the CR of the line's end.
      this.#skippedBad ||= isBad(this.#pending.subarray(0, -1));
      this.#pending = Buffer.from(this.#pending.subarray(-1));
      return undefined;
    }
    const line = this.#pending.subarray(0, end + 1);
    this.#pending = this.#pending.subarray(end + 1);
    return line;
  }

  #dispatch(line: Buffer, next: () => void): void {
    const text = line.subarray(0, -2);
    if (this.#skippedBad || line.at(-2) !== CR || isBad(text)) {
      this.events.onBadLineEnding();
      this.isClosed = true;
      return next();
    }
    if (this.#skipped || line.length > MAX_LINE) {
      const start = this.#skipped ?? line.subarray(0, START_KEPT);
      this.#skipped = undefined;
      return this.events.onLineTooLong(start, next);
    }
    this.events.onLine(text, next);
  }

  override _feedDataStream(chunk: Buffer, done: Done): void {
    const octets = this.#carry.length ? Buffer.concat([this.#carry, chunk]) : chunk;
    this.#carry = EMPTY;
    const found = this.#unstuff(octets);
    if (found.rest) {
      this._countDataBytes(found.content.length);
      this._endDataMode(found.content, found.rest, done);
      return;
    }
    this.#emit(found.content, done);
  }

  #emit(content: Buffer, done: Done): void {
    const stream = this._dataStream;
    if (content.length === 0) return done();
    this._countDataBytes(content.length);
    if (!stream || !stream.writable || stream.write(content) || stream.destroyed) return done();
    const go = (): void => {
      stream.off('drain', go);
      stream.off('close', go);
      done();
    };
    stream.once('drain', go);
    stream.once('close', go);
  }

  /**
   * The content of `octets` without stuffed dots; `rest` is what follows the end of the message, undefined while
   * the end has not come. What may yet turn out to be part of the end is carried over.
   */
  #unstuff(octets: Buffer): { content: Buffer; rest?: Buffer } {
    let out: Buffer | undefined;
    let length = 0;
    let from = 0;
    const keep = (to: number): void => {
      out ??= Buffer.allocUnsafe(octets.length);
      if (to - from >= SHORT_RUN) length += octets.copy(out, length, from, to);
      else for (let at = from; at < to; at++) out[length++] = octets[at]!;
    };
    const content = (to: number): Buffer => {
      if (!out) return octets.subarray(from, to);
      keep(to);
      return out.subarray(0, length);
    };
    for (let dot = this.#nextDot(octets, 0); dot >= 0; dot = this.#nextDot(octets, dot + 1)) {
      const first = octets[dot + 1];
      const second = octets[dot + 2];
      if (first === undefined || (first === CR && second === undefined)) return this.#hold(octets, content, dot - 2);
      if (first === CR && second === LF) return { content: content(dot), rest: octets.subarray(dot + 3) };
      keep(dot);
      from = dot + 1;
    }
    const tail = octets.at(-1) === CR ? 1 : octets.at(-1) === LF && octets.at(-2) === CR ? 2 : 0;
    return this.#hold(octets, content, Math.max(from, octets.length - tail));
  }

  /** Where the next line that begins with a dot has its dot, or -1. */
  #nextDot(octets: Buffer, from: number): number {
    if (this.#atStart && octets.length > 0) {
      this.#atStart = false;
      if (octets[0] === DOT) return 0;
    }
    const near = Math.min(octets.length, from + SHORT_RUN);
    for (let at = from + 2; at < near; at++) {
      if (octets[at] === DOT && octets[at - 1] === LF && octets[at - 2] === CR) return at;
    }
    const at = octets.indexOf('\r\n.', Math.max(from, near - 2));
    return at < 0 ? -1 : at + 2;
  }

  #hold(octets: Buffer, content: (to: number) => Buffer, at: number): { content: Buffer } {
    // Only a dot at the very start of a message has nothing in front of it.
    if (at < 0) this.#atStart = true;
    const from = Math.max(0, at);
    this.#carry = Buffer.from(octets.subarray(from));
    return { content: content(from) };
  }
}

/** Whether octets of a command, its end aside, may not be there. */
const isBad = (octets: Buffer): boolean => octets.includes(CR) || octets.includes(0);
