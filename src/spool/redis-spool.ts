// The spool on Redis Streams: `spool.ts` says what it promises, `transitions.ts` is how.
import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { throwStoreFault, type RedisClient } from '../base/redis.js';
import { RedisGroup } from './redis-group.js';
import { RedisPuts } from './redis-puts.js';
import { RedisSettlements, type KeepSettings } from './redis-settlements.js';
import { RedisSource, type Token } from './redis-source.js';
import { RedisWriter } from './redis-writer.js';
import { Rounds } from './rounds.js';
import { Script } from '../base/script.js';
import { Shard } from './shard.js';
import type { ClaimSource, Damage, Lease, Once, Settlement, Spool, SpoolGroup, SpoolWriter } from './spool.js';
import { RENEW } from './transitions.js';

export interface SpoolSettings extends KeepSettings {
  shards: number;
  leaseSeconds: number;
}

const renew = new Script(RENEW);

export class RedisSpool implements Spool {
  readonly #shards: Shard[];
  /** By number of shard. */
  readonly #ways: { puts: RedisPuts; settlements: RedisSettlements }[];
  readonly #sources = new Map<Shard, RedisSource>();
  #turn = 0;

  /**
   * @param redis for everything that answers at once.
   * @param blocking makes a connection for waiting, one a shard; called only when claims are wanted.
   * @param consumer names this process to the others; no other may ever have the same.
   */
  constructor(
    private readonly redis: RedisClient,
    private readonly blocking: (shard: number) => RedisClient,
    private readonly consumer: string,
    private readonly settings: SpoolSettings,
    private readonly clock: Clock,
    private readonly onDamaged: (damage: Damage) => void,
  ) {
    this.#shards = Array.from({ length: settings.shards }, (_none, number) => new Shard(number));
    this.#ways = this.#shards.map((shard) => {
      const rounds = new Rounds();
      return {
        puts: new RedisPuts(redis, shard, rounds, () => this.#sources.get(shard)),
        settlements: new RedisSettlements(redis, shard, rounds, consumer, settings, clock),
      };
    });
  }

  begin(id: string): SpoolWriter {
    const shard = this.#nextShard();
    return new RedisWriter(this.redis, shard, this.#ways[shard.number]!.puts, id);
  }

  group(once?: Once): SpoolGroup {
    const shard = once ? this.#shardOf(once.key) : this.#nextShard();
    return new RedisGroup(this.redis, shard, this.#ways[shard.number]!.puts, once);
  }

  async answerOf(onceKey: string): Promise<string | undefined> {
    const answer = await this.redis.get(this.#shardOf(onceKey).once(onceKey)).catch(throwStoreFault);
    return answer ?? undefined;
  }

  sources(): ClaimSource[] {
    return this.#shards.map((shard) => this.#source(shard));
  }

  settle(lease: Lease, settlement: Settlement): Promise<boolean> {
    return this.#ways[(lease.token as Token).shard.number]!.settlements.settle(lease, settlement);
  }

  async release({ record, token }: Lease): Promise<void> {
    const { shard, sid, deliveries } = token as Token;
    await this.#source(shard).release({ id: record.id, sid, deliveries });
  }

  async renew(leases: Lease[]): Promise<Lease[]> {
    const lost: Lease[] = [];
    for (const shard of this.#shards) {
      const mine = leases.filter((lease) => (lease.token as Token).shard === shard);
      const tokens = [...mine.map(({ token }) => token as Token), ...(this.#sources.get(shard)?.held() ?? [])];
      if (tokens.length === 0) continue;
      const args = tokens.flatMap(({ sid, deliveries }) => [sid, deliveries]);
      const sids = new Set((await renew.run(this.redis, [shard.ready], [this.consumer, ...args])) as string[]);
      lost.push(...mine.filter(({ token }) => sids.has((token as Token).sid)));
    }
    return lost;
  }

  async setAside(lease: Lease, reason: string): Promise<void> {
    const { shard, sid, deliveries } = lease.token as Token;
    await this.#source(shard).setAside({ sid, id: lease.record.id, deliveries }, reason);
  }

  #nextShard(): Shard {
    this.#turn = (this.#turn + 1) % this.#shards.length;
    return this.#shards[this.#turn]!;
  }

  /** Always the same one for a key, so that its messages and its answer are written in one step. */
  #shardOf(key: string): Shard {
    const hash = createHash('sha256').update(key).digest().readUInt32BE(0);
    return this.#shards[hash % this.#shards.length]!;
  }

  #source(shard: Shard): RedisSource {
    const { redis, consumer, settings, clock, onDamaged } = this;
    const known = this.#sources.get(shard);
    if (known) return known;
    const made = new RedisSource(redis, this.blocking(shard.number), shard, consumer, settings, clock, onDamaged);
    this.#sources.set(shard, made);
    return made;
  }
}
