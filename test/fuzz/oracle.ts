// What a server may have replied to the octets it was sent, by a reading of the protocol that shares nothing with the
// server's: on whole texts, after the fact. It takes a refusal of anything, and a 250 for nothing that it cannot derive.

export interface Accepted {
  id: string;
  /** The message with its dots unstuffed and CRLF line ends. */
  content: string;
}

interface Facts {
  authenticated: boolean;
  hasMail: boolean;
  recipients: number;
}

const LONGEST_LINE = 12_288;
const fresh = (): Facts => ({ authenticated: false, hasMail: false, recipients: 0 });

/** Reads one direction in the clear, or inside TLS, beside the replies to it. @throws when a reply is wrong. */
export class Oracle {
  readonly accepted: Accepted[] = [];
  #facts = fresh();
  /** AUTH and the answers to its challenges, until it ends. */
  #auth: string[] = [];
  #isData = false;
  #isOver = false;
  #rest = '';

  constructor(private readonly key: string) {}

  /** @param replies to `octets`, without the greeting. */
  read(octets: string, replies: string[]): void {
    [this.#rest, this.#isOver, this.#isData, this.#auth, this.#facts] = [octets, false, false, [], fresh()];
    for (const reply of replies) {
      if (reply.startsWith('421 ')) this.#isOver = true;
      else if (this.#isOver) throw new Error(`a reply after the end: ${reply}`);
      else if (this.#isData) this.#readMessage(reply);
      else this.#readLine(reply);
    }
  }

  #readMessage(reply: string): void {
    const text = `\r\n${this.#rest}`;
    const end = text.indexOf('\r\n.\r\n');
    if (end < 0) throw new Error(`a reply to a message that did not end: ${reply}`);
    this.#rest = text.slice(end + 5);
    this.#isData = false;
    this.#forgetMail();
    const id = /^250 2\.6\.0 Ok: queued as (\S{22})$/.exec(reply)?.[1];
    if (!id) return void allow(/^[45]\d\d /.test(reply), reply, 'the end of a message');
    const raw = text
      .slice(0, end + 2)
      .replaceAll('\r\n.', '\r\n')
      .slice(2);
    allow(!raw.includes('\0'), reply, 'a message with NUL');
    this.accepted.push({ id, content: raw.replace(/\r\n|\r|\n/g, '\r\n') });
  }

  #readLine(reply: string): void {
    const end = this.#rest.indexOf('\n') + 1;
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end);
    const said = JSON.stringify(line.slice(0, 80));
    allow(/^[^\r\n\0]*\r\n$/.test(line), reply, said);
    allow(line.length <= LONGEST_LINE || reply.startsWith('500 '), reply, said);
    if (this.#auth.length) this.#auth.push(line.slice(0, -2));
    else if (/^AUTH[ \t]/i.test(line)) this.#auth.push(...line.trim().split(/ +/));
    const verb = this.#auth.length ? 'AUTH' : /^[A-Z]*/i.exec(line)![0].toUpperCase();
    allow(this.#mayFollow(verb, reply), reply, said);
    this.#learn(verb, reply);
  }

  #mayFollow(verb: string, reply: string): boolean {
    const { authenticated, hasMail, recipients } = this.#facts;
    if (/^[45]/.test(reply)) return true;
    if (reply.startsWith('334 ')) return verb === 'AUTH' && !authenticated;
    if (reply.startsWith('235 ')) return verb === 'AUTH' && !authenticated && this.#isLogin();
    if (reply.startsWith('354 ')) return verb === 'DATA' && authenticated && hasMail && recipients > 0;
    if (reply.startsWith('250 2.1.0 ')) return verb === 'MAIL' && authenticated && !hasMail;
    if (reply.startsWith('250 2.1.5 ')) return verb === 'RCPT' && authenticated && hasMail;
    return (HARMLESS[verb] ?? /^$/).test(reply);
  }

  /** Whether the last answers are the right name and key. */
  #isLogin(): boolean {
    const texts = this.#auth.map((token) => Buffer.from(token, 'base64').toString('latin1'));
    if (/^PLAIN$/i.test(this.#auth[1] ?? '')) {
      return [`\0apikey\0${this.key}`, `apikey\0apikey\0${this.key}`].includes(texts.at(-1)!);
    }
    return texts.at(-2) === 'apikey' && texts.at(-1) === this.key;
  }

  #learn(verb: string, reply: string): void {
    if (!reply.startsWith('334 ')) this.#auth = [];
    if (!/^[23]/.test(reply)) return;
    if (verb === 'AUTH' && reply.startsWith('235 ')) this.#facts.authenticated = true;
    if (['EHLO', 'HELO', 'RSET'].includes(verb)) this.#forgetMail();
    if (verb === 'MAIL') this.#facts.hasMail = true;
    if (verb === 'RCPT') this.#facts.recipients++;
    if (verb === 'DATA') this.#isData = true;
    // What follows STARTTLS in the clear is nobody's.
    if (verb === 'QUIT' || verb === 'STARTTLS') this.#isOver = true;
  }

  #forgetMail(): void {
    [this.#facts.hasMail, this.#facts.recipients] = [false, 0];
  }
}

/** Replies of success that say nothing of mail. */
const HARMLESS: Record<string, RegExp> = {
  ...{ EHLO: /^250-/, HELO: /^250 postern\.test$/, NOOP: /^250 2\.0\.0 Ok$/, RSET: /^250 2\.0\.0 Ok$/ },
  ...{ HELP: /^214 /, VRFY: /^252 /, QUIT: /^221 /, STARTTLS: /^220 2\.0\.0 / },
};

function allow(isRight: boolean, reply: string, said: string): void {
  if (!isRight) throw new Error(`the reply to ${said} cannot be ${reply}`);
}

/** Whether the octets in the spool are the message: trace fields, then all of it, with an empty line more at most. */
export function isStored(stored: string, { id, content }: Accepted): boolean {
  const received = /^Received: from [^\r]*\r\n\tby postern\.test [^\r]*\r\n\tid (\S{22}); [^\r]*\r\n/.exec(stored);
  if (received?.[1] !== id) return false;
  const messageId = `Message-ID: <${id}@postern.test>\r\n`;
  const rest = stored.slice(received[0].length);
  const named = rest.startsWith(messageId) ? rest.slice(messageId.length) : rest;
  return [named, named.replace(/^Date: [^\r]*\r\n/, '')].some((text) => isSame(text, content));
}

/** The server puts an empty line between a header block and a line that is no field. */
function isSame(stored: string, content: string): boolean {
  if (stored === content) return true;
  let same = 0;
  while (same < content.length && stored[same] === content[same]) same++;
  return stored.length === content.length + 2 && [0, 1].some((back) => isWithout(stored, same - back, content));
}

const isWithout = (stored: string, at: number, content: string): boolean =>
  at >= 0 && stored.slice(at, at + 2) === '\r\n' && stored.slice(0, at) + stored.slice(at + 2) === content;
