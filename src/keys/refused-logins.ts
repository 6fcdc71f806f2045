// Refused logins, summed up for the audit log: one entry a minute of each process while there are any, and fewer when
// it goes on, so that whoever guesses cannot push the history of the keys out of a log that is bounded.
// Promise: bounded memory, and no login waits for it.
import type { AuditLog } from './audit.js';

const FIRST_MS = 60_000;
const LONGEST_MS = 3_600_000;
/** Distinct keys and addresses that are counted; the counts of verdicts are always right. */
const MAX_COUNTED = 1000;
const MAX_SHOWN = 10;

/** Faults of ours, which are no refusals. */
const NOT_REFUSED = 'unavailable';

export class RefusedLogins {
  #verdicts = new Map<string, number>();
  #keys = new Map<string, number>();
  #addresses = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #interval = FIRST_MS;
  #isStopped = false;

  constructor(
    private readonly audit: Pick<AuditLog, 'append'>,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** @param keyId of the real key that was tried, if it was one. */
  note(verdict: string, address: string, keyId: string | undefined): void {
    if (verdict === NOT_REFUSED) return;
    count(this.#verdicts, verdict);
    count(this.#addresses, address);
    if (keyId !== undefined) count(this.#keys, keyId);
    this.#schedule();
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.flush();
  }

  /** Writes the entry that is due now. Counts that cannot be written are lost: the log has each of them. */
  async flush(): Promise<void> {
    if (this.#verdicts.size === 0) return;
    const details = {
      total: [...this.#verdicts.values()].reduce((sum, each) => sum + each, 0),
      verdicts: Object.fromEntries(this.#verdicts),
      keys: most(this.#keys).map(([id, logins]) => ({ id, logins })),
      addresses: most(this.#addresses).map(([address, logins]) => ({ address, logins })),
    };
    for (const counts of [this.#verdicts, this.#keys, this.#addresses]) counts.clear();
    await this.audit.append({ actor: 'server', action: 'refused', details }).catch(this.onFault);
  }

  #schedule(): void {
    if (this.#timer || this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // Quiet since the last entry: begin anew with a minute.
      this.#interval = this.#verdicts.size > 0 ? Math.min(this.#interval * 2, LONGEST_MS) : FIRST_MS;
      if (this.#verdicts.size > 0) {
        void this.flush();
        this.#schedule();
      }
    }, this.#interval);
    this.#timer.unref();
  }
}

function count(counts: Map<string, number>, what: string): void {
  if (counts.has(what) || counts.size < MAX_COUNTED) counts.set(what, (counts.get(what) ?? 0) + 1);
}

const most = (counts: Map<string, number>): [string, number][] =>
  [...counts].sort(([, a], [, b]) => b - a).slice(0, MAX_SHOWN);
