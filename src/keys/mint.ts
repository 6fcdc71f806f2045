// Makes a key. Its text exists in the answer of `mint` and nowhere else.
import type { Clock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import { maskKeys } from '../base/mask.js';
import type { Random } from '../base/ids.js';
import { hashKey } from './pepper.js';
import type { Restrictions } from './policy.js';
import type { KeyEditor } from './editor.js';
import type { KeyRecord } from './record.js';
import { FULL_ACCESS, scopeProblems } from './scopes.js';
import { makeKey } from './shape.js';

export interface MintRequest {
  /** 1 to 100 characters, need not be unique. */
  name: string;
  /** Empty or absent: full access. */
  scopes?: string[];
  restrictions?: Restrictions;
}

export interface Minted {
  /** The key itself: show it once, keep it nowhere. */
  text: string;
  record: KeyRecord;
}

/** There are as many keys as keys.maxKeys allows; a revoked one does not count. */
export class TooManyKeys extends OperatorError {}

/** @throws OperatorError for an unusable name or scope, TooManyKeys, StoreUnavailable. */
export async function mint(
  keys: KeyEditor,
  settings: { prefix: string; pepper: string; maxKeys: number },
  { clock, random }: { clock: Clock; random: Random },
  request: MintRequest,
): Promise<Minted> {
  const { id, text } = makeKey(settings.prefix, random);
  const record: KeyRecord = {
    id,
    name: checkName(request.name),
    hash: hashKey(settings.pepper, text),
    ...{ previousHash: '', previousUntil: 0, rotatedAt: 0 },
    scopes: request.scopes?.length ? checkScopes(request.scopes) : [FULL_ACCESS],
    restrictions: request.restrictions ?? {},
    createdAt: clock.now(),
    generation: 0,
    revokedAt: 0,
    lastUsedAt: 0,
    lastUsedFrom: '',
  };
  const { maxKeys } = settings;
  if (!(await keys.insert(record, maxKeys))) {
    throw new TooManyKeys(`there are ${maxKeys} keys already: revoke one, or raise keys.maxKeys`);
  }
  return { text, record };
}

/** @throws OperatorError */
export function checkName(name: string): string {
  if (name.trim() === '' || name.length > 100 || /[\u0000-\u001F\u007F]/.test(name)) {
    throw new OperatorError('a key needs a name of 1 to 100 printable characters');
  }
  if (maskKeys(name) !== name) throw new OperatorError('a name is stored and shown: it must not contain a key');
  return name;
}

/** @throws OperatorError that names the unknown ones. */
export function checkScopes(scopes: string[]): string[] {
  const [problem] = scopeProblems(scopes);
  if (problem) throw new OperatorError(problem);
  return [...new Set(scopes)];
}
