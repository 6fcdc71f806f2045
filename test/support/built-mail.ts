// Mail by hand on the built server: a session that is logged in, a message in one call, and what a message became.
import { openDialogue, type Dialogue, type DialogueOptions } from './dialogue.js';

export interface Mail {
  from?: string;
  to?: string | string[];
  /** As the client means it, before dots are stuffed; a last CRLF is added when it is missing, as SMTP needs it. */
  data?: string | Buffer;
  /** After the > of MAIL FROM. */
  parameters?: string;
}

const USUAL = 'From: app@example.com\r\nTo: you@example.com\r\nSubject: built\r\n\r\nHello.\r\n';

/** A dialogue that has said EHLO and has logged in. */
export async function logIn(port: number, key: string, options?: DialogueOptions): Promise<Dialogue> {
  const dialogue = await openDialogue(port, options);
  await dialogue.ehlo();
  const reply = await dialogue.authPlain('apikey', key);
  if (!reply.startsWith('235')) throw new Error(`AUTH was answered with ${reply}`);
  return dialogue;
}

/** Sends a mail as far as it is let; the last reply. */
export async function attempt(dialogue: Dialogue, mail: Mail = {}): Promise<string> {
  const { from = 'app@example.com', to = 'you@example.com', data = USUAL, parameters = '' } = mail;
  const commands = [`MAIL FROM:<${from}>${parameters}`, ...[to].flat().map((each) => `RCPT TO:<${each}>`), 'DATA'];
  for (const command of commands) {
    const reply = await dialogue.line(command);
    if (!/^[23]/.test(reply)) {
      await dialogue.line('RSET').catch(() => ''); // 421 has closed the connection
      return reply;
    }
  }
  dialogue.send(onTheWire(data));
  return dialogue.reply();
}

/** The queue id of a mail that must be accepted. */
export async function submit(dialogue: Dialogue, mail?: Mail): Promise<string> {
  return queueId(await attempt(dialogue, mail));
}

/** The id in `250 2.6.0 Ok: queued as <22 characters>`, wherever a client prints that line. */
export function queueId(text: string): string {
  const id = /250 2\.6\.0 Ok: queued as ([\w-]{22})(?![\w-])/.exec(text)?.[1];
  if (id === undefined) throw new Error(`no message was queued: ${text}`);
  return id;
}

/** A mail over a connection of its own. */
export async function submitOnce(port: number, key: string, mail?: Mail, options?: DialogueOptions): Promise<string> {
  const dialogue = await logIn(port, key, options);
  try {
    return await submit(dialogue, mail);
  } finally {
    await dialogue.close();
  }
}

/** Dots stuffed after CRLF and only there, and the end of data. */
function onTheWire(data: string | Buffer): Buffer {
  const text = data.toString('latin1');
  const complete = text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`;
  return Buffer.from(`${`\r\n${complete}`.replaceAll('\r\n.', '\r\n..').slice(2)}.\r\n`, 'latin1');
}
