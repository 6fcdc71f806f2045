// The guard against guessing. A failed login waits the longer for its refusal the more of them came from the client's
// address or network, and beyond a bound the guess is answered 421 for a while. Promises: what is blocked is the guess,
// never the good key (whoever has one logs in, from wherever others guess); nobody is ever blocked by user name; a
// delayed session costs its socket and a timer, and there is a bound to them; a store that is away blocks nobody.
import { setTimeout as wait } from 'node:timers/promises';
import { clientNetworks, type ClientNetworks } from '../base/address.js';
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import { refuse, type Refusal } from '../message/refusal.js';
import { LocalFailureCount, type FailureCount, type FailureLimits, type FailureState } from './failure-count.js';

/** Part of the bound that costs no delay: typing errors. */
const FREE_SHARE = 1 / 6;
const MAX_DELAYED = 1000;
const MAX_BLOCKS = 10_000;
/** How long memory is believed about a block, so that an operator's word is heard. */
const BELIEVED_MS = 5000;
/** Keys that a blocked client may have looked up in Redis, by each process. */
const LOOK_UPS_PER_SECOND = 10;

export interface LoginGuardParts {
  count: Pick<FailureCount, 'fail'>;
  settings: FailureLimits & { maxDelaySeconds: number };
  /** Tells credentials apart without saying them. */
  fingerprint: (presented: string) => string;
  clock: Clock;
  log: Log;
  metrics: {
    loginBlocks: { inc(labels: { scope: string }): void };
    delayedLogins: { set(value: number): void };
  };
  /** Waits; rejects when `signal` aborts. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

interface KnownBlock {
  until: number;
  believedUntil: number;
  second: number;
  lookUps: number;
}

export class LoginGuard {
  readonly #blocks = new Map<string, KnownBlock>();
  readonly #local: LocalFailureCount;
  readonly #stopped = new AbortController();
  readonly #ends = new Set<NodeJS.Timeout>();
  #delayed = 0;

  constructor(private readonly parts: LoginGuardParts) {
    this.#local = new LocalFailureCount(parts.settings);
  }

  /** Whether a key from `address` that memory does not know may be looked up: always, unless the address is blocked. */
  mayLookUp(address: string): boolean {
    if (this.#blocks.size === 0) return true;
    const now = this.parts.clock.now();
    const block = this.#block(clientNetworks(address), now);
    if (!block) return true;
    const second = Math.floor(now / 1000);
    if (block.second !== second) Object.assign(block, { second, lookUps: 0 });
    return ++block.lookUps <= LOOK_UPS_PER_SECOND;
  }

  /**
   * Counts a failed login and waits as long as it has to.
   * @param presented what was presented; only its HMAC is kept.
   * @returns the refusal in place of the usual one, when the client is blocked.
   */
  async failed(address: string, presented: string): Promise<Refusal | undefined> {
    const { clock, settings, fingerprint } = this.parts;
    if (!settings.maxFailuresPerAddress && !settings.maxFailuresPerNetwork) return undefined;
    const now = clock.now();
    const client = clientNetworks(address);
    const known = this.#block(client, now);
    if (known && known.believedUntil > now) return blocked(known.until - now);
    const state = await this.#count(client, fingerprint(presented), now);
    const until = this.#remember(client, state, now);
    if (until > now) return blocked(until - now);
    const share = Math.max(state.address.share, state.network.share);
    return this.#delay((settings.maxDelaySeconds * 1000 * (share - FREE_SHARE)) / (1 - FREE_SHARE));
  }

  /** Whoever waits is answered now. */
  stop(): void {
    this.#stopped.abort();
    for (const timer of this.#ends) clearTimeout(timer);
  }

  #count(client: ClientNetworks, fingerprint: string, now: number): Promise<FailureState> {
    return this.parts.count
      .fail(client, fingerprint, now)
      .catch(() => this.#local.fail(client, fingerprint, this.parts.clock.now()));
  }

  #block({ address, network }: ClientNetworks, now: number): KnownBlock | undefined {
    return [this.#blocks.get(address), this.#blocks.get(network)].find((block) => block && block.until > now);
  }

  /** @returns until when the client is blocked, 0 when it is not. */
  #remember(client: ClientNetworks, state: FailureState, now: number): number {
    for (const scope of ['address', 'network'] as const) {
      const until = state[scope].blockedUntil;
      const known = this.#blocks.get(client[scope]);
      this.#blocks.delete(client[scope]);
      if (until <= now) continue;
      if (this.#blocks.size >= MAX_BLOCKS) this.#blocks.delete(this.#blocks.keys().next().value!);
      const { second = 0, lookUps = 0 } = known ?? {};
      this.#blocks.set(client[scope], { until, believedUntil: Math.min(until, now + BELIEVED_MS), second, lookUps });
      if (state.begun.includes(scope)) this.#announce(scope, client[scope], until - now);
    }
    return Math.max(state.address.blockedUntil, state.network.blockedUntil);
  }

  /** One line when a block begins and one when it ends, in the process in which it began. */
  #announce(scope: string, client: string, ms: number): void {
    const { log, metrics } = this.parts;
    metrics.loginBlocks.inc({ scope });
    log.warn({ [scope]: client, seconds: Math.ceil(ms / 1000) }, 'too many failed logins: guesses are blocked');
    if (this.#ends.size >= MAX_BLOCKS) return;
    const timer = setTimeout(() => {
      this.#ends.delete(timer);
      this.#blocks.delete(client);
      log.info({ [scope]: client }, 'guesses are no longer blocked');
    }, ms);
    timer.unref();
    this.#ends.add(timer);
  }

  /** Beyond the bound nobody waits: the guess is sent away at once. */
  async #delay(ms: number): Promise<Refusal | undefined> {
    if (!(ms >= 1)) return undefined;
    if (this.#delayed >= MAX_DELAYED) return blocked(ms);
    const { metrics, wait = sleep } = this.parts;
    metrics.delayedLogins.set(++this.#delayed);
    await wait(ms, this.#stopped.signal).catch(() => {});
    metrics.delayedLogins.set(--this.#delayed);
    return undefined;
  }
}

const sleep = (ms: number, signal: AbortSignal): Promise<void> => wait(ms, undefined, { signal });

/** What a guess from a blocked client is told. @param ms until the end of the block. */
export const blocked = (ms: number): Refusal => refuse('too-many-failed-logins', { seconds: Math.ceil(ms / 1000) });
