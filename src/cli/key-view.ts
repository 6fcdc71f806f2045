// A key as people and programs see it: never its secret, nor its hash.
import { expandScopes, FULL_ACCESS } from '../keys/scopes.js';
import type { Restrictions } from '../keys/policy.js';
import type { KeyRecord } from '../keys/record.js';
import { allowanceText } from '../keys/restriction-text.js';
import type { OldSecretUser } from '../keys/store.js';
import { colour, printable, time } from './output.js';

const iso = (ms: number): string | null => (ms ? new Date(ms).toISOString() : null);

type KeyState = 'active' | 'revoked' | 'expired';

function keyState(record: KeyRecord, now: number): KeyState {
  if (record.revokedAt) return 'revoked';
  const { expires_at: expiresAt } = record.restrictions;
  return expiresAt !== undefined && now >= expiresAt * 1000 ? 'expired' : 'active';
}

/** A client that used the secret which was replaced, and when last in milliseconds. */
export type OldSecretUse = OldSecretUser & { at: number };

export function keyAsJson(record: KeyRecord, now: number, oldUsers: OldSecretUse[] = []): Record<string, unknown> {
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
    ...(record.rotatedAt > 0 && { rotation: rotationAsJson(record, now, oldUsers) }),
  };
}

function rotationAsJson({ rotatedAt, previousUntil }: KeyRecord, now: number, users: OldSecretUse[]) {
  return {
    rotated_at: iso(rotatedAt),
    old_secret_until: iso(previousUntil),
    old_secret_alive: now < previousUntil,
    old_secret_last_used_at: iso(users[0]?.at ?? 0),
    old_secret_used_by: users.map(({ address, name, at }) => ({ address, name, last_used_at: iso(at) })),
  };
}

/** Whether the old secret may go: until when it lives, and who has used it since the rotation. */
export function rotationText(record: KeyRecord, users: OldSecretUse[], now: number): string[] {
  const { rotatedAt, previousUntil } = record;
  if (rotatedAt === 0) return [];
  const end = now < previousUntil ? `lives until ${time(previousUntil)}` : `ended ${time(previousUntil)}`;
  const quietSince = users[0]?.at ?? rotatedAt;
  const quiet = `${users.length ? 'not used' : 'used by nobody'} for ${ago(Math.max(0, Math.min(now, previousUntil) - quietSince))}`;
  return [
    `rotated     ${time(rotatedAt)}`,
    `old secret  ${end}, ${quiet}`,
    ...users.map(({ address, name, at }) => `  used by   ${address} ${printable(name)}, last ${time(at)}`),
  ];
}

/** The largest unit that fits: `3 days`, `1 hour`, `0 seconds`. */
function ago(ms: number): string {
  const units = [
    ...([
      ['day', 86_400],
      ['hour', 3600],
      ['minute', 60],
    ] as const),
    ['second', 1] as const,
  ];
  const [unit, seconds] = units.find(([, each]) => ms >= each * 1000) ?? units.at(-1)!;
  const count = Math.floor(ms / 1000 / seconds);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

export function scopesText(record: KeyRecord): string {
  return record.scopes.includes(FULL_ACCESS) ? 'full access' : record.scopes.join(', ');
}

/** A key in some lines: which, what for, what it may. */
export function keyLines(record: KeyRecord): string[] {
  const restricted = restrictionsText(record.restrictions).map((line) => `restricted: ${line}`);
  return [`key ${record.id} (${record.name}), ${scopesText(record)}`, ...restricted];
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
