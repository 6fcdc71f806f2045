// What the calls that send mail share: settings, and the parts of the inside that they talk to.
import type { Authenticator } from '../../authenticate/authenticator.js';
import type { Clock } from '../../base/clock.js';
import type { Log } from '../../base/log.js';
import type { MailMetrics } from '../../report/metrics.js';
import type { Spool, SpoolBatches } from '../../spool/spool.js';
import type { Budget } from '../budget.js';
import type { Submitter } from '../submit.js';
import type { Policy } from '../../admit/policy.js';

export interface HttpDoor {
  settings: { hostname: string; maxMessageBytes: number };
  authenticator: Authenticator;
  policy: Policy;
  submitter: Submitter;
  spool: Spool;
  batches: SpoolBatches;
  /** The same one as for messages that come by SMTP. */
  budget: Budget;
  /** For bodies of clients that have not shown a key yet. */
  strangersBudget: Budget;
  clock: Clock;
  newId: () => string;
  log: Log;
  metrics: MailMetrics;
}
