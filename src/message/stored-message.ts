// A message as people look at it: in the queue, under way, or ended.
import type { MessageRecord } from './envelope.js';
import type { MessageEvent } from './event.js';
import type { RecipientStatus } from './recipient.js';

export interface StoredMessage {
  record: MessageRecord;
  recipients: RecipientStatus[];
  events: MessageEvent[];
  /** Milliseconds since the epoch; 0 while it is not ended. */
  doneAt: number;
  /** When the next attempt is due; 0 when it is ready, under way, paused or ended. */
  retryAt: number;
  /** Whether its sender holds it back, with no time set. */
  isPaused: boolean;
  cancelledAt: number;
  /** Why it was set aside; '' when it was not. */
  damage: string;
  hasBody: boolean;
}
