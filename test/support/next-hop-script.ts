// How a test tells the fake next hop what to do: a function that is asked before every answer. The answer decides
// the effect as well, so that what the hop says and what it holds to be true can never differ.
export type Stage = 'connect' | 'ehlo' | 'starttls' | 'auth' | 'mail' | 'rcpt' | 'data' | 'message' | 'quit';

export interface HopEvent {
  stage: Stage;
  /** The command as it came; empty for `connect` and `message`. */
  line: string;
  /** 1 for the first connection. */
  session: number;
  /** The exact text between < and >; the one being asked about in `mail`. Undefined outside a transaction. */
  mailFrom: string | undefined;
  /** The recipient being asked about, in `rcpt` only. */
  recipient: string | undefined;
  /** Those accepted so far. */
  recipients: readonly string[];
  /** Counts the MAIL commands of all sessions that were asked about, 1 for the first; 0 before any. */
  messageNumber: number;
  /** The same for this session alone. */
  messageInSession: number;
  /** The whole message, in `message` only. */
  data: Buffer | undefined;
  tls: boolean;
}

/**
 * A string answers with it, and a positive one has the effect of the command; lines are parted by \n. `hang` says
 * nothing more and keeps the connection open, `drop` destroys it unanswered, `waitFor` goes on as usual afterwards.
 */
type Action =
  string | { hang: true } | { drop: true } | { reply: string; thenDrop: true } | { waitFor: Promise<unknown> };

/** Undefined means the usual answer. */
export type Script = (event: HopEvent) => Action | undefined;

/** What comes of an action. Without a reply, the command has no effect. */
export interface Verdict {
  reply: string | undefined;
  then: 'go-on' | 'hang' | 'drop';
}

/** Asks the script; `usual` is the answer when it has nothing to say. */
export async function decide(script: Script, event: HopEvent, usual: string): Promise<Verdict> {
  const action = script(event);
  if (action === undefined || typeof action === 'string') return { reply: action ?? usual, then: 'go-on' };
  if ('reply' in action) return { reply: action.reply, then: 'drop' };
  if ('hang' in action) return { reply: undefined, then: 'hang' };
  if ('drop' in action) return { reply: undefined, then: 'drop' };
  await action.waitFor;
  return { reply: usual, then: 'go-on' };
}

/** 2xx and 3xx. */
export function isPositive({ reply }: Verdict): boolean {
  return reply !== undefined && /^[23]/.test(reply);
}
