// The next hop of a benchmark: takes any mail as fast as raw sockets allow, so that what is measured is the server in
// front of it. It looks only for the ends of lines and messages. `node --import tsx test/bench/sink.ts --port 0`
// prints {"port":N}; a line `count` on stdin, or SIGUSR2, prints {"messages":N,"bytes":N,"lastAt":M}, and a line
// `until N` the same as soon as there are N messages. lastAt: when the last one came, in ms since the epoch.
import { openSync, writeSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const MESSAGE_END = Buffer.from('\r\n.\r\n');
const NOTHING = Buffer.alloc(0);
const BORDER_BYTES = MESSAGE_END.length - 1;
/** Where the id is looked for; trace headers in front of it take some of this. */
const HEAD_BYTES = 64 * 1024;
const ANSWERS: Record<string, string> = {
  A: '235 welcome\r\n',
  D: '354 go\r\n',
  E: '250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000000000\r\n',
  Q: '221 bye\r\n',
  S: '502 no TLS here\r\n',
};

class Tally {
  messages = 0;
  /** Of message data as sent, dot-stuffing included, the final dot not. */
  bytes = 0;
  lastAt = 0;
  #wanted = Infinity;
  readonly #logFile: number | undefined;

  constructor(logPath: string | undefined) {
    this.#logFile = logPath === undefined ? undefined : openSync(logPath, 'a');
  }

  get logs(): boolean {
    return this.#logFile !== undefined;
  }

  /** Before the message is acknowledged, so that the log is never behind what the sender knows. */
  add(bytes: number, head: Buffer): void {
    this.messages++;
    this.bytes += bytes;
    this.lastAt = performance.timeOrigin + performance.now();
    if (this.#logFile !== undefined) writeSync(this.#logFile, `${idOf(head)}\n`);
    if (this.messages >= this.#wanted) this.#printOnce();
  }

  print(): void {
    console.log(JSON.stringify({ messages: this.messages, bytes: this.bytes, lastAt: this.lastAt }));
  }

  /** As soon as there are `wanted` messages. */
  printAt(wanted: number): void {
    this.#wanted = wanted;
    if (this.messages >= wanted) this.#printOnce();
  }

  #printOnce(): void {
    this.#wanted = Infinity;
    this.print();
  }
}

/** The X-Bench-Id of a message, or else its Message-ID, or else nothing. */
function idOf(head: Buffer): string {
  const end = head.indexOf('\r\n\r\n');
  const headers = head.toString('latin1', 0, end < 0 ? head.length : end);
  const found = /^X-Bench-Id:[ \t]*(.*)$/im.exec(headers) ?? /^Message-ID:\s*(.*)$/im.exec(headers);
  return found?.[1]?.trim() ?? '';
}

class SinkSession {
  /** In commands: a line that has not ended. In data: the last bytes, which may begin CRLF.CRLF. */
  #rest: Buffer = NOTHING;
  #inData = false;
  #dataBytes = 0;
  #head: Buffer = NOTHING;
  #answer = '';
  #quit = false;

  constructor(
    private readonly socket: Socket,
    private readonly tally: Tally,
  ) {
    socket.write('220 sink\r\n');
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  #take(chunk: Buffer): void {
    let unread: Buffer | undefined = chunk;
    while (unread !== undefined) unread = this.#inData ? this.#takeData(unread) : this.#takeCommands(unread);
    if (this.#answer !== '') this.socket.write(this.#answer, 'latin1');
    this.#answer = '';
    if (this.#quit) this.socket.end();
  }

  /** Returns what follows the DATA command, if there was one. */
  #takeCommands(chunk: Buffer): Buffer | undefined {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      this.#command(bytes[start]);
      start = end + 1;
      if (!this.#inData) continue;
      // The CRLF of the command counts as the one in front of the first line.
      this.#rest = Buffer.from(MESSAGE_END.subarray(0, 2));
      return bytes.subarray(start);
    }
    this.#rest = bytes.subarray(start);
    return undefined;
  }

  /** The first letter tells the commands apart that want an answer of their own. */
  #command(firstByte = 0): void {
    const letter = String.fromCharCode(firstByte).toUpperCase();
    this.#inData = letter === 'D';
    this.#quit = letter === 'Q';
    this.#answer += ANSWERS[letter] ?? '250 ok\r\n';
  }

  /** Returns what follows the message, if it ends here. */
  #takeData(chunk: Buffer): Buffer | undefined {
    const end = this.#endOfMessage(chunk);
    const taken = end === undefined ? chunk : chunk.subarray(0, end);
    this.#dataBytes += taken.length;
    if (this.tally.logs && this.#head.length < HEAD_BYTES) this.#head = Buffer.concat([this.#head, taken]);
    if (end === undefined) {
      this.#rest = chunk.length >= BORDER_BYTES ? chunk : Buffer.concat([this.#rest, chunk]);
      this.#rest = this.#rest.subarray(-BORDER_BYTES);
      return undefined;
    }
    this.tally.add(this.#dataBytes - '.\r\n'.length, this.#head);
    this.#answer += '250 ok\r\n';
    this.#inData = false;
    this.#dataBytes = 0;
    this.#head = this.#rest = NOTHING;
    return chunk.subarray(end);
  }

  /** Just behind CRLF.CRLF, which may have begun in earlier chunks. */
  #endOfMessage(chunk: Buffer): number | undefined {
    const border = Buffer.concat([this.#rest, chunk.subarray(0, BORDER_BYTES)]);
    const early = border.indexOf(MESSAGE_END);
    if (early >= 0) return early + MESSAGE_END.length - this.#rest.length;
    const at = chunk.indexOf(MESSAGE_END);
    return at < 0 ? undefined : at + MESSAGE_END.length;
  }
}

function main(): void {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      log: { type: 'string' },
      'stdin-bound': { type: 'boolean', default: false },
    },
  });
  const tally = new Tally(values.log);
  const server = createServer({ noDelay: true }, (socket) => new SinkSession(socket, tally));
  server.listen(Number(values.port), '127.0.0.1', () => {
    console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
  });
  process.on('SIGUSR2', () => tally.print());
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    if (line === 'count') tally.print();
    else if (line.startsWith('until ')) tally.printAt(Number(line.slice('until '.length)));
  });
  if (values['stdin-bound']) input.on('close', () => process.exit(0));
}

main();
