// What the audit log tells of a change of a key: which fields, from what to what. Promise: no secret and no hash of one.
import { isDeepStrictEqual } from 'node:util';
import type { AuditAction } from './audit-chain.js';
import type { KeyRecord } from './record.js';

export interface Described {
  action: AuditAction;
  details: Record<string, unknown>;
}

/** The whole of a new key. */
export const describeKey = ({ name, scopes, restrictions }: KeyRecord): Record<string, unknown> => ({
  ...{ name, scopes },
  ...(Object.keys(restrictions).length > 0 && { restrictions }),
});

/** @returns undefined when nothing is different. */
export function describeChange(before: KeyRecord, after: KeyRecord): Described | undefined {
  const changes = changesOf(before, after);
  const details = Object.keys(changes).length > 0 ? { changes } : {};
  if (before.hash !== after.hash)
    return { action: 'rotate', details: { ...details, ...describeRotation(before, after) } };
  if (before.revokedAt !== after.revokedAt && after.revokedAt > 0) return { action: 'revoke', details };
  if (before.revokedAt !== after.revokedAt) return { action: 'update', details: { ...details, revoked: false } };
  return Object.keys(changes).length > 0 ? { action: 'update', details } : undefined;
}

/** `{"name": {"from": "a", "to": "b"}, "restrictions.rate": {"from": null, "to": {...}}}` */
function changesOf(before: KeyRecord, after: KeyRecord): Record<string, { from: unknown; to: unknown }> {
  const [old, now] = [before, after].map(fieldsOf) as [Record<string, unknown>, Record<string, unknown>];
  const names = Object.keys({ ...old, ...now }).filter((name) => !isDeepStrictEqual(old[name], now[name]));
  return Object.fromEntries(names.map((name) => [name, { from: old[name] ?? null, to: now[name] ?? null }]));
}

function fieldsOf({ name, scopes, restrictions }: KeyRecord): Record<string, unknown> {
  const each = Object.entries(restrictions).map(([member, value]): [string, unknown] => [
    `restrictions.${member}`,
    value,
  ]);
  return { name, scopes, ...(Object.fromEntries(each) as Record<string, unknown>) };
}

/** When the old secret ends, and whether an older one, which still lived, ends with the rotation. */
function describeRotation(before: KeyRecord, after: KeyRecord): Record<string, unknown> {
  return {
    previous_until: new Date(after.previousUntil).toISOString(),
    ...(before.previousUntil > after.rotatedAt && { ended_older: true }),
  };
}
