// The audit log in Redis: a stream whose ids are the numbers of the entries, and a head that says which one is the
// last. Promise: an entry about a key is written in the same script as the change that it tells of, so that there is
// neither a change without an entry nor an entry without a change; and it is bounded, the oldest entries go first.
import type { Clock } from '../base/clock.js';
import type { RedisClient } from '../base/redis.js';
import { StoreUnavailable, throwStoreFault } from '../base/redis.js';
import { Script } from '../base/script.js';
import { chainKey, ChainReader, NO_ENTRIES, readEntry, seal } from './audit-chain.js';
import type { AuditDraft, AuditEntry, Break, SealedEntry, Tip } from './audit-chain.js';

const STREAM = 'postern:{keys}:audit';
const HEAD = 'postern:{keys}:audit:head';

/** KEYS of a script that has APPEND_AUDIT in it. */
export const AUDIT_KEYS = [STREAM, HEAD] as const;

/**
 * Lua for the beginning of a script: `append_audit(stream, head, prev, seq, first, text, hash)` appends an entry, and
 * returns nothing; or, when another entry has come in between, writes nothing and returns the tip {seq, hash, first}.
 * A head that is lost or behind does not stop changes of keys: the entry goes behind whatever was last, and `verify`
 * names the place.
 */
export const APPEND_AUDIT = `
local function append_audit(stream, head, prev, seq, first, text, hash)
  local known = redis.call('HMGET', head, 'seq', 'hash', 'first')
  local last = tonumber(known[1] or 0) or 0
  local info = redis.pcall('XINFO', 'STREAM', stream)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last = math.max(last, tonumber(string.match(info[at + 1], '^%d+'))) end
  end
  if (known[2] or '') ~= prev or last + 1 ~= tonumber(seq) then return {last, known[2] or '', known[3] or '1'} end
  redis.call('XADD', stream, 'MINID', '=', first .. '-0', seq .. '-0', 'entry', text, 'hash', hash)
  redis.call('HSET', head, 'seq', seq, 'hash', hash, 'first', first)
end
`;

/** KEYS: stream, head. ARGV: prev, seq, first, text, hash. Returns 1, or the tip when another entry was first. */
const APPEND = `#!lua flags=allow-oom
${APPEND_AUDIT}
return append_audit(KEYS[1], KEYS[2], unpack(ARGV)) or 1`;

const append = new Script(APPEND);

/** Other processes may be first so many times. */
const MAX_TRIES = 100;
const PAGE = 1000;

export interface AuditReport {
  /** Entries that are whole, up to the break if there is one. */
  entries: number;
  head: Tip;
  broken?: Break;
}

/**
 * Runs a script with the arguments of APPEND_AUDIT behind the keys, and hands on what it returns: a number above 0 when
 * everything was written, another one when nothing was, the tip when another entry was first.
 */
export type AuditScript = (args: (string | number)[]) => Promise<unknown>;

export class AuditLog {
  readonly #key: Buffer;
  #tip = NO_ENTRIES;
  /** One entry after the other: those of one process do not get into each other's way. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly redis: RedisClient,
    private readonly settings: { pepper: string; maxEntries: number },
    private readonly clock: Clock,
  ) {
    this.#key = chainKey(settings.pepper);
  }

  /** Writes an entry that belongs to no change of a key. @throws StoreUnavailable */
  async append(draft: Omit<AuditDraft, 'at'>): Promise<void> {
    await this.write(draft, (args) => append.run(this.redis, [...AUDIT_KEYS], args));
  }

  /** Seals `draft` and has `script` write it, again and again while others are first. @returns what it returned. */
  write(draft: Omit<AuditDraft, 'at'>, script: AuditScript): Promise<unknown> {
    const result = this.#turn.then(() => this.#write({ at: this.clock.now(), ...draft }, script));
    this.#turn = result.catch(() => {});
    return result;
  }

  async #write(draft: AuditDraft, script: AuditScript): Promise<unknown> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const tip = this.#tip;
      const { seq, first, text, hash } = seal(this.#key, draft, tip, this.settings.maxEntries);
      const answer = await script([tip.hash, seq, first, text, hash]);
      if (Array.isArray(answer)) this.#tip = tipOf(answer);
      else if (Number(answer) > 0) this.#tip = { seq, hash, first };
      if (!Array.isArray(answer)) return answer;
    }
    throw new StoreUnavailable('the audit log could not be written: too many changes at the same time');
  }

  /** The newest entries, newest first. @param key only those about this key. */
  async list(limit: number, key?: string): Promise<AuditEntry[]> {
    const found: AuditEntry[] = [];
    for (let end = '+'; found.length < limit;) {
      const page = await this.redis.xrevrange(STREAM, end, '-', 'COUNT', PAGE).catch(throwStoreFault);
      const entries = page.map(sealedOf).flatMap(({ text }) => readEntry(text) ?? []);
      found.push(...entries.filter((entry) => key === undefined || isAbout(entry, key)));
      if (page.length < PAGE) break;
      end = `(${page.at(-1)![0]}`;
    }
    return found.slice(0, limit);
  }

  /** Reads the whole chain. What is written or trimmed meanwhile is no break. */
  async verify(): Promise<AuditReport> {
    let report = await this.#verifyOnce();
    for (let tries = 0; report.broken && tries < 5; tries++) {
      const again = await this.#verifyOnce();
      if (again.head.hash === report.head.hash) break;
      report = again;
    }
    return report;
  }

  async #verifyOnce(): Promise<AuditReport> {
    const head = await this.#head();
    const reader = new ChainReader(this.#key, head);
    for (let start = '-'; ;) {
      const page = await this.redis.xrange(STREAM, start, '+', 'COUNT', PAGE).catch(throwStoreFault);
      for (const entry of page.map(sealedOf)) {
        const isLater = entry.seq > head.seq && (await this.#head()).seq >= entry.seq;
        if (isLater) return report(reader, head);
        const broken = reader.next(entry) ?? beyond(entry, head);
        if (broken) return { entries: reader.length, head, broken };
      }
      if (page.length < PAGE) return report(reader, head);
      start = `(${page.at(-1)![0]}`;
    }
  }

  async #head(): Promise<Tip> {
    const { seq, hash, first } = await this.redis.hgetall(HEAD).catch(throwStoreFault);
    return seq === undefined ? NO_ENTRIES : tipOf([seq, hash, first]);
  }
}

function report(reader: ChainReader, head: Tip): AuditReport {
  const broken = reader.end();
  return { entries: reader.length, head, ...(broken && { broken }) };
}

/** Entries behind the head: it was set back. */
const beyond = ({ seq }: SealedEntry, head: Tip): Break | undefined =>
  seq > head.seq ? { seq, problem: `is not known to the head, which ends at ${head.seq}` } : undefined;

const tipOf = ([seq, hash, first]: unknown[]): Tip => ({
  ...{ seq: Number(seq), hash: typeof hash === 'string' ? hash : '', first: Number(first ?? 1) || 1 },
});

function sealedOf([id, fields]: [id: string, fields: string[]]): SealedEntry {
  const value = (name: string): string => fields[fields.indexOf(name) + 1] ?? '';
  return { seq: Number(id.split('-')[0]), text: value('entry'), hash: value('hash') };
}

/** A summary of refused logins is about all keys that it names. */
function isAbout({ key, details }: AuditEntry, wanted: string): boolean {
  const { keys } = details as { keys?: unknown };
  return key === wanted || (Array.isArray(keys) && keys.some((each: { id?: unknown }) => each.id === wanted));
}
