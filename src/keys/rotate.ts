// Gives a key a new secret while the old one lives on for a time, so that applications can be moved over one by one.
// Id, scopes, restrictions and counters are the key's and stay; at most two secrets of a key live at the same time.
import type { Clock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import type { Random } from '../base/ids.js';
import type { KeyEditor, KeyChange } from './editor.js';
import type { Minted } from './mint.js';
import { hashKey } from './pepper.js';
import type { KeyRecord } from './record.js';
import { makeSecret } from './shape.js';

export interface Rotated extends Minted {
  /** A secret that had been replaced before and still lived: it ended with this rotation. */
  endedOlder: boolean;
}

/**
 * @param overlapSeconds how long the old secret lives on; 0 ends it at once.
 * @throws OperatorError for a key that does not exist or is dead, StoreUnavailable.
 */
export async function rotate(
  keys: KeyEditor,
  settings: { prefix: string; pepper: string },
  { clock, random }: { clock: Clock; random: Random },
  id: string,
  overlapSeconds: number,
): Promise<Rotated> {
  const { text } = makeSecret(settings.prefix, id, random);
  const hash = hashKey(settings.pepper, text);
  let endedOlder = false;
  const record = await keys.update(id, (before): KeyChange => {
    const now = clock.now();
    refuseDead(before, now);
    endedOlder = before.previousUntil > now;
    return { hash, previousHash: before.hash, previousUntil: now + overlapSeconds * 1000, rotatedAt: now };
  });
  if (!record) throw new OperatorError(`no such key: ${id}`);
  return { text, record, endedOlder };
}

function refuseDead({ id, revokedAt, restrictions }: KeyRecord, now: number): void {
  if (revokedAt > 0) throw new OperatorError(`key ${id} is revoked and has no secret to replace; make a new one`);
  const { expires_at: expiresAt } = restrictions;
  if (expiresAt === undefined || now < expiresAt * 1000) return;
  throw new OperatorError(`key ${id} has expired; give it time with 'keys update ${id} --expires 90d' first`);
}
