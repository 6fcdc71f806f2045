// Messages that this process put just now, by their place in the queue, so that a claim of this process need not read
// them back. A place is given once, and nothing changes a message before its first claim: what is here is what is in
// Redis. Bounded: of what does not fit the oldest goes, and is read like any other.
import type { MessageRecord } from '../message/envelope.js';

export interface FreshMessage {
  record: MessageRecord;
  octets: Buffer;
}

const MAX_BYTES = 8 * 1024 * 1024;
const MAX_MESSAGES = 1000;

export class Fresh {
  readonly #messages = new Map<string, FreshMessage>();
  #bytes = 0;

  constructor(private readonly maxBytes = MAX_BYTES) {}

  /** @param sid its entry in the stream. */
  add(sid: string, message: FreshMessage): void {
    this.#messages.set(sid, message);
    this.#bytes += message.octets.length;
    for (const oldest of this.#messages.keys()) {
      if (this.#bytes <= this.maxBytes && this.#messages.size <= MAX_MESSAGES) break;
      this.take(oldest);
    }
  }

  /** The message, which is forgotten here. */
  take(sid: string): FreshMessage | undefined {
    const message = this.#messages.get(sid);
    if (this.#messages.delete(sid)) this.#bytes -= message!.octets.length;
    return message;
  }
}
