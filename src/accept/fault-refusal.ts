// What a client is told of a fault on our side: always something temporary, never the fault's own words.
import { StoreFull, StoreUnavailable } from '../base/redis.js';
import { refuse, type Refusal } from '../message/refusal.js';

export function refusalOfFault(error: unknown): Refusal {
  if (error instanceof StoreFull) return refuse('storage-full');
  return refuse(error instanceof StoreUnavailable ? 'storage-away' : 'internal-error');
}
