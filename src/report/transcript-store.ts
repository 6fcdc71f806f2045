// Transcripts in Redis: the last sessions of each key, and of each address that failed to log in. Written for people
// who ask later, by servers that must not wait: a full Redis refuses them, and they are lost. All keys share one hash
// tag and expire. Bounded: so many a key, so many an address, and 1000 addresses, of which the oldest are forgotten.
import { clientNetworks } from '../base/address.js';
import { throwStoreFault, type RedisClient } from '../base/redis.js';
import { Script } from '../base/script.js';
import { hasFailed, type Transcript } from './transcript.js';

export interface TranscriptSettings {
  /** 0 = none, also below. */
  keepPerKey: number;
  keepPerAddress: number;
  keepHours: number;
}

export interface TranscriptQuery {
  keyId?: string;
  address?: string;
  /** Only those with a login that failed. */
  failed?: boolean;
  limit: number;
}

const BASE = 'postern:{sessions}:';
const INDEX = `${BASE}index`;
const ADDRESSES = `${BASE}addresses`;
const MAX_ADDRESSES = 1000;
const PAGE = 100;

/**
 * KEYS: transcript, index, addresses. ARGV: prefix of all keys, id, transcript as JSON, now ms, life ms, the address or
 * '', most addresses, then name and bound of each list it goes into. A transcript goes with the last list it is in.
 */
const PUT = `
local base, id, now, life = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local function drop(list, gone)
  redis.call('ZREM', list, gone)
  local text = redis.call('GET', base .. 'one:' .. gone)
  if text then
    for _, other in ipairs(cjson.decode(text).lists) do
      if redis.call('ZSCORE', base .. other, gone) then return end
    end
    redis.call('DEL', base .. 'one:' .. gone)
  end
  redis.call('ZREM', KEYS[2], gone)
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', life)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - life)
redis.call('PEXPIRE', KEYS[2], life)
for i = 8, #ARGV, 2 do
  local list = base .. ARGV[i]
  redis.call('ZADD', list, now, id)
  redis.call('PEXPIRE', list, life)
  redis.call('ZREMRANGEBYSCORE', list, '-inf', now - life)
  for _, gone in ipairs(redis.call('ZRANGE', list, 0, -1 - tonumber(ARGV[i + 1]))) do drop(list, gone) end
end
if ARGV[6] == '' then return end
redis.call('ZADD', KEYS[3], now, ARGV[6])
redis.call('PEXPIRE', KEYS[3], life)
for _, address in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1 - tonumber(ARGV[7]))) do
  local list = base .. 'address:' .. address
  for _, gone in ipairs(redis.call('ZRANGE', list, 0, -1)) do drop(list, gone) end
  redis.call('ZREM', KEYS[3], address)
end`;

const put = new Script(PUT);

export class TranscriptStore {
  constructor(
    private readonly redis: RedisClient,
    private readonly settings: TranscriptSettings,
    private readonly maxAddresses = MAX_ADDRESSES,
  ) {}

  /** Keeps a transcript with its key, and with its address when a login failed. @throws StoreUnavailable, StoreFull */
  async put(transcript: Transcript): Promise<void> {
    const { keepPerKey, keepPerAddress, keepHours } = this.settings;
    const { id, keyId, client, endedAt } = transcript;
    const address = keepPerAddress > 0 && hasFailed(transcript) ? clientNetworks(client).address : '';
    const lists = [
      ...(keyId !== undefined && keepPerKey > 0 ? [[`key:${keyId}`, keepPerKey] as const] : []),
      ...(address ? [[`address:${address}`, keepPerAddress] as const] : []),
    ];
    if (lists.length === 0 || keepHours === 0) return;
    const text = JSON.stringify({ ...transcript, lists: lists.map(([name]) => name) });
    const facts = [BASE, id, text, endedAt, keepHours * 3_600_000, address, this.maxAddresses];
    await put.run(this.redis, [`${BASE}one:${id}`, INDEX, ADDRESSES], [...facts, ...lists.flat()]);
  }

  /** Newest first. @throws StoreUnavailable */
  async list({ keyId, address, failed, limit }: TranscriptQuery): Promise<Transcript[]> {
    const wanted = address === undefined ? undefined : clientNetworks(address).address;
    const list = keyId !== undefined ? `${BASE}key:${keyId}` : wanted ? `${BASE}address:${wanted}` : INDEX;
    const fits = (transcript: Transcript): boolean =>
      (!failed || hasFailed(transcript)) && (!wanted || clientNetworks(transcript.client).address === wanted);
    const found: Transcript[] = [];
    for (let from = 0; found.length < limit; from += PAGE) {
      const ids = await this.redis.zrevrange(list, from, from + PAGE - 1).catch(throwStoreFault);
      if (ids.length === 0) break;
      found.push(...(await this.#read(ids)).filter(fits));
    }
    return found.slice(0, limit);
  }

  /** @throws StoreUnavailable */
  async find(id: string): Promise<Transcript | undefined> {
    return (await this.#read([id]))[0];
  }

  async #read(ids: string[]): Promise<Transcript[]> {
    const texts = await this.redis.mget(...ids.map((id) => `${BASE}one:${id}`)).catch(throwStoreFault);
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as Transcript]));
  }
}
