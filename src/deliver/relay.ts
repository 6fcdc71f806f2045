// Where messages go: to the next hops in order of preference, or nowhere (capture). One attempt for one message.
import { messageOf } from '../base/fault.js';
import { rcptArguments, type EnvelopeDsn } from '../message/dsn.js';
import type { Lease } from '../spool/spool.js';
import { HopFault, type OutgoingDsn } from './hop-connection.js';
import type { HopPool } from './hop-pool.js';
import type { NextHop } from './next-hop.js';
import { outcomeOfConnect, outcomesOf, type Outcome } from './outcome.js';

export interface Relay {
  /** Tries the recipients with these indexes, and says what became of each, in the same order. Never throws. */
  attempt(lease: Lease, indexes: number[]): Promise<Outcome[]>;
}

export class SmartHostRelay implements Relay {
  constructor(
    private readonly hops: NextHop[],
    private readonly pool: HopPool,
  ) {}

  async attempt(lease: Lease, indexes: number[]): Promise<Outcome[]> {
    const { to: all, dsn } = lease.record.envelope;
    const to = indexes.map((index) => all[index]!);
    const wishes = dsn && dsnOf(dsn, indexes, to);
    let last: Outcome = { kind: 'deferred', reply: 'no next hop could be reached lately', hop: '' };
    for (const hop of this.#inOrder()) {
      try {
        return await this.#send(hop, lease, to, wishes);
      } catch (error) {
        last = { kind: 'deferred', reply: messageOf(error), hop: hop.label };
        // A next hop that could not be reached took nothing: the next one may.
        if (!(error instanceof HopFault)) break;
        last = outcomeOfConnect(error, hop.label);
      }
    }
    return to.map(() => last);
  }

  /** Hops that answered lately first; when none did, all are tried. */
  #inOrder(): NextHop[] {
    const awake = this.hops.filter((hop) => !this.pool.isPaused(hop));
    return awake.length ? awake : this.hops;
  }

  async #send(hop: NextHop, lease: Lease, to: string[], dsn: OutgoingDsn | undefined): Promise<Outcome[]> {
    const { envelope, size } = lease.record;
    const is8Bit = envelope.bodyType === '8BITMIME' || envelope.smtpUtf8;
    const message = () => ({ from: envelope.from, to, body: lease.body(), size, is8Bit, dsn });
    return outcomesOf(await this.pool.send(hop, message), to, hop.label);
  }
}

/** What the sender asked, for the recipients of this attempt. */
function dsnOf({ ret, envid, recipients }: EnvelopeDsn, indexes: number[], to: string[]): OutgoingDsn {
  return {
    ret,
    envid,
    rcptArguments: new Map(to.map((address, at) => [address, rcptArguments(recipients[indexes[at]!] ?? {})])),
  };
}
