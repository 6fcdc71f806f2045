// The world outside: a next hop behind a wire that can be cut, with moods. What it was handed whole and did not refuse
// has arrived, whether the reply to that was seen or not.
import { startNextHop, type NextHop } from '../support/next-hop.js';
import type { HopEvent, Script } from '../support/next-hop-script.js';
import { readArrival, type Arrival } from './ledger.js';
import { Proxy } from '../support/proxy.js';

export type Mood =
  | 'well'
  | 'hangs at the greeting'
  | 'hangs behind the final dot'
  | 'drops behind the final dot'
  | 'greets with 421'
  | '451 to MAIL'
  | '451 to some recipients'
  | '451 to the message'
  | '554 to some messages';

export class ChaosHop {
  mood: Mood = 'well';
  /** Called when a message is there whole, before its reply. */
  onMessage: (() => void) | undefined;

  private constructor(
    private readonly hop: NextHop,
    readonly wire: Proxy,
    private readonly take: (arrival: Arrival) => void,
  ) {
    hop.setScript((event) => this.#answer(event));
  }

  /** @param take told of every arrival. */
  static async start(port: number, take: (arrival: Arrival) => void): Promise<ChaosHop> {
    const hop = await startNextHop();
    const wire = new Proxy(port, { port: hop.port, host: '127.0.0.1' });
    await wire.open();
    return new ChaosHop(hop, wire, take);
  }

  /** Everything that was recorded is with the ledger already. */
  forget(): void {
    this.hop.messages.length = 0;
    this.hop.refused.length = 0;
  }

  async stop(): Promise<void> {
    this.wire.close();
    await this.hop.stop();
  }

  #answer(event: HopEvent): ReturnType<Script> {
    if (event.stage !== 'message') return this.#answerCommand(event);
    const { data, mailFrom = '', recipients } = event;
    const action = this.#answerMessage(mailFrom);
    if (typeof action !== 'string') this.take(readArrival(data!, mailFrom, [...recipients]));
    this.onMessage?.();
    return action;
  }

  #answerCommand({ stage, recipient = '' }: HopEvent): ReturnType<Script> {
    const { mood } = this;
    if (stage === 'connect' && mood === 'hangs at the greeting') return { hang: true };
    if (stage === 'connect' && mood === 'greets with 421') return { reply: '421 4.3.2 busy', thenDrop: true };
    if (stage === 'mail' && mood === '451 to MAIL') return '451 4.3.0 not now';
    if (stage !== 'rcpt') return undefined;
    if (recipient.startsWith('nobody.')) return '550 5.1.1 no such user';
    return mood === '451 to some recipients' && recipient.startsWith('0.') ? '450 4.2.0 mailbox busy' : undefined;
  }

  /** Reports to senders, which come from the null sender, are never refused for good: nobody would hear of it. */
  #answerMessage(mailFrom: string): ReturnType<Script> {
    const { mood } = this;
    if (mood === 'hangs behind the final dot') return { hang: true };
    if (mood === 'drops behind the final dot') return { drop: true };
    if (mood === '451 to the message') return '451 4.7.0 later';
    return mood === '554 to some messages' && /[05]@/.test(mailFrom) ? '554 5.7.1 not this one' : undefined;
  }
}
