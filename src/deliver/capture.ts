// Without a next hop mail is captured: accepted as usual, kept for people to look at, sent nowhere.
import type { Outcome } from './outcome.js';
import type { Relay } from './relay.js';
import type { Lease } from '../spool/spool.js';

export class CaptureRelay implements Relay {
  attempt(_lease: Lease, indexes: number[]): Promise<Outcome[]> {
    const captured: Outcome = { kind: 'captured', reply: 'no relay.url is set', hop: '' };
    return Promise.resolve(indexes.map(() => captured));
  }
}
