// A key as people and programs see it: never its secret, nor its hash.
import { expandScopes, FULL_ACCESS } from '../keys/scopes.js';
import type { Restrictions } from '../keys/policy.js';
import type { KeyRecord } from '../keys/record.js';
import { allowanceText } from '../keys/restriction-text.js';
import { colour, time } from './output.js';

const iso = (ms: number): string | null => (ms ? new Date(ms).toISOString() : null);

type KeyState = 'active' | 'revoked' | 'expired';

function keyState(record: KeyRecord, now: number): KeyState {
  if (record.revokedAt) return 'revoked';
  const { expires_at: expiresAt } = record.restrictions;
  return expiresAt !== undefined && now >= expiresAt * 1000 ? 'expired' : 'active';
}

export function keyAsJson(record: KeyRecord, now: number): Record<string, unknown> {
  return {
    api_key_id: record.id,
    name: record.name,
    state: keyState(record, now),
    full_access: record.scopes.includes(FULL_ACCESS),
    scopes: expandScopes(record.scopes),
    restrictions: record.restrictions,
    created_at: iso(record.createdAt),
    revoked_at: iso(record.revokedAt),
    last_used_at: iso(record.lastUsedAt),
    last_used_from: record.lastUsedFrom || null,
  };
}

export function scopesText(record: KeyRecord): string {
  return record.scopes.includes(FULL_ACCESS) ? 'full access' : record.scopes.join(', ');
}

export function restrictionsText({ rate, quota, ...rest }: Restrictions): string[] {
  const list = (values: string[]): string => values.join(', ') || '(nothing: refuses all)';
  return [
    ...(rest.from ? [`from ${list(rest.from)}`] : []),
    ...(rest.to ? [`to ${list(rest.to)}`] : []),
    ...(rest.ips ? [`clients ${list(rest.ips)}`] : []),
    ...(rest.expires_at === undefined ? [] : [`expires ${time(rest.expires_at * 1000)}`]),
    ...(rate ? [`rate ${allowanceText(rate)}`] : []),
    ...(quota ? [`quota ${allowanceText(quota)}`] : []),
    ...(rest.max_bytes === undefined ? [] : [`at most ${rest.max_bytes} bytes`]),
    ...(rest.max_recipients === undefined ? [] : [`at most ${rest.max_recipients} recipients`]),
    ...(rest.require_tls ? ['TLS required'] : []),
  ];
}

export function stateText(record: KeyRecord, now: number): string {
  const state = keyState(record, now);
  return colour(state === 'active' ? 'green' : 'red', state);
}
