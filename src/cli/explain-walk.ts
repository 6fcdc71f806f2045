// The way of a message through the rules of the server, as far as they can be known ahead: which of them allows and
// which refuses, at which stage, and what the client reads. Promise: every answer comes from the code that serves;
// here is only the order, and what it means for people. Nothing is counted and nothing used up.
import type { Allowances } from '../admit/allowance.js';
import type { Policy } from '../admit/policy.js';
import { isGuess, judge, SEND, type Denial } from '../authenticate/authenticator.js';
import { clearLoginRefusal, type LoginConnection } from '../authenticate/clear-login.js';
import { blocked } from '../authenticate/login-guard.js';
import type { Principal } from '../authenticate/principal.js';
import { currentSecret, type Verdict } from '../keys/verify.js';
import type { Address } from '../message/address.js';
import type { Refusal } from '../message/refusal.js';

export interface Rules {
  policy: Policy;
  allowances: Pick<Allowances, 'look'>;
  /** For how many milliseconds guesses of an address are still blocked, 0 when they are not. */
  blockedMs: (address: string) => Promise<number>;
  allowInsecureAuth: Parameters<typeof clearLoginRefusal>[0];
}

/** What is asked about. What is left out is not judged. */
export interface Attempt {
  client: LoginConnection;
  verdict: Verdict;
  /** `<>` is the null sender. */
  from?: Address | '<>' | undefined;
  /** The values of From fields. */
  headerFrom: string[];
  to: Address[];
  /** Octets of the message. */
  size?: number | undefined;
}

export interface Step {
  stage: 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'end of data';
  rule: string;
  /** `not judged`: a rule before it has ended the matter. */
  outcome: 'allows' | 'refuses' | 'not judged';
  /** For the operator; clients read the refusal. */
  why: string;
  refusal?: Refusal;
}

type Refusing = Exclude<Verdict['kind'], 'valid'>;

/** What the key itself is judged by, in the order of the verifier. */
const KEY_RULES = [
  ['known key', 'the key was made here'],
  ['not revoked', 'the key was not revoked'],
  ['not expired', 'the key has not expired'],
  ['client address', 'the key may be used from this address'],
] as const;

const REFUSED_BY: Record<Refusing, { rule: (typeof KEY_RULES)[number][0]; why: string }> = {
  malformed: { rule: 'known key', why: 'this is not a key: its shape or its checksum is wrong' },
  unknown: { rule: 'known key', why: 'no such key was made here, or its secret is wrong' },
  unavailable: { rule: 'known key', why: 'the key cannot be checked now: Redis is away, or the record is damaged' },
  revoked: { rule: 'not revoked', why: 'the key was revoked' },
  expired: { rule: 'not expired', why: 'the key has expired' },
  rotated: {
    rule: 'not expired',
    why: 'this secret of the key was replaced, and the time in which both were good is over',
  },
  'denied-ip': { rule: 'client address', why: 'the key may not be used from this address' },
};

/** Of logins that came to more, or to less, than a key that was judged. */
const LOGIN_WORDS: Readonly<Record<string, string>> = {
  valid: 'the key is valid',
  'bad-username': 'the user name must be exactly apikey',
  'no-scope': 'the key may not send mail: it lacks the scope mail.send',
  'tls-required': 'this key may be used over TLS alone',
  'held-back': 'too many guesses came from this address: the key was not looked up, and may come again',
  'auth-needs-tls': 'AUTH without TLS, which smtp.allowInsecureAuth does not allow',
  'auth-mechanism': 'the client wants a mechanism other than PLAIN and LOGIN',
  'auth-required': 'the client did not log in before it sent mail: its user name and password may not be set',
  'login-too-slow': 'the client did not log in in time: its user name and password may not be set',
  'tls-handshake': 'the TLS handshake failed: the client may not trust the certificate',
};

/** A verdict on a login, or the refusal that a session came to instead of one, in words. */
export const verdictWords = (login: string): string | undefined =>
  LOGIN_WORDS[login] ?? (Object.hasOwn(REFUSED_BY, login) ? REFUSED_BY[login as Refusing].why : undefined);

/** All steps in the order of a session; behind one that refuses the others are judged all the same, where they can be. */
export async function walk(rules: Rules, attempt: Attempt): Promise<Step[]> {
  const { client, verdict } = attempt;
  const blockedMs = await rules.blockedMs(client.address);
  const clear = clearLoginRefusal(rules.allowInsecureAuth, client);
  const steps = [
    step('AUTH', 'smtp.allowInsecureAuth', clear, 'a login is taken on this connection', CLEAR),
    guardStep(blockedMs),
    ...keySteps(verdict, blockedMs),
  ];
  if (!('key' in verdict) || !verdict.key) return steps;
  // As if the key were good, so that all that is wrong is seen at once.
  const key = { kind: 'valid', key: verdict.key, secret: currentSecret(verdict.key) } as const;
  const scope = judge(key, SEND);
  const login = judge(key, undefined);
  if (!('principal' in login)) return steps;
  const { principal } = login;
  return [
    ...steps,
    step('AUTH', 'scope', 'refusal' in scope ? scope.refusal : undefined, ...SCOPE_WORDS),
    step('AUTH', 'TLS', rules.policy.connection(principal, client.secure), ...TLS_WORDS),
    ...(await mailSteps(rules, principal, attempt)),
    ...recipientSteps(rules.policy, principal, attempt.to),
    ...messageSteps(rules.policy, principal, attempt),
  ];
}

const CLEAR = 'the connection has no TLS, and the setting lets no login come without';
const SCOPE_WORDS = [`the key has the scope ${SEND}`, `the key may not send mail: it lacks the scope ${SEND}`] as const;
const TLS_WORDS = ['the key may be used on this connection', 'the key requires TLS, and there is none'] as const;

function step(stage: Step['stage'], rule: string, refusal: Refusal | undefined, good: string, bad?: string): Step {
  if (!refusal) return { stage, rule, outcome: 'allows', why: good };
  return { stage, rule, outcome: 'refuses', why: bad ?? refusal.text, refusal };
}

/** The guard never refuses a good key. */
function guardStep(blockedMs: number): Step {
  const seconds = Math.ceil(blockedMs / 1000);
  const block = `guesses from this address are blocked for ${seconds} seconds; a good key logs in all the same`;
  return step('AUTH', 'login guard', undefined, blockedMs ? block : 'the address is not blocked');
}

function keySteps(verdict: Verdict, blockedMs: number): Step[] {
  const denial = judge(verdict, undefined);
  const refused = verdict.kind === 'valid' ? undefined : REFUSED_BY[verdict.kind];
  const end = KEY_RULES.findIndex(([rule]) => rule === refused?.rule);
  return KEY_RULES.map(([rule, good], at): Step => {
    if (!refused || !('refusal' in denial) || at < end) return step('AUTH', rule, undefined, good);
    if (at > end) return { stage: 'AUTH', rule, outcome: 'not judged', why: 'the key is refused already' };
    return step('AUTH', rule, asRead(denial, blockedMs), good, refused.why);
  });
}

const asRead = (denial: Denial, blockedMs: number): Refusal =>
  blockedMs > 0 && isGuess(denial) ? blocked(blockedMs) : denial.refusal;

async function mailSteps({ policy, allowances }: Rules, principal: Principal, attempt: Attempt): Promise<Step[]> {
  const { from, size } = attempt;
  const { rate, quota } = principal.restrictions;
  const room = rate || quota ? 'there is room for a message now' : 'the key has neither a rate nor a quota';
  return [
    ...sizeSteps('MAIL', policy, principal, size),
    ...(from ? [senderStep(policy, principal, from)] : []),
    step('MAIL', 'rate and quota', await allowances.look(principal), room),
  ];
}

function senderStep(policy: Policy, principal: Principal, from: Address | '<>'): Step {
  const text = from === '<>' ? 'the null sender' : from.text;
  const refusal = policy.sender(principal, from === '<>' ? undefined : from);
  return step('MAIL', 'sender', refusal, `the key may send as ${text}`, `the key may not send as ${text}`);
}

function sizeSteps(stage: Step['stage'], policy: Policy, principal: Principal, size: number | undefined): Step[] {
  if (size === undefined) return [];
  const limit = policy.maxBytes(principal);
  const words = [`at most ${limit} bytes`, `${size} bytes, and at most ${limit} are taken`] as const;
  return [step(stage, 'size', policy.size(principal, size), ...words)];
}

/** As in a transaction: whoever was refused does not count. */
function recipientSteps(policy: Policy, principal: Principal, to: Address[]): Step[] {
  const accepted = new Set<string>();
  const steps = to.map(({ text, ...rest }) => {
    const refusal = policy.recipient(principal, { text, ...rest });
    const tooMany = refusal ? undefined : policy.recipientCount(principal, new Set([...accepted, text]).size);
    if (tooMany) return step('RCPT', 'number of recipients', tooMany, '', `${text} is one too many`);
    if (!refusal) accepted.add(text);
    return step('RCPT', 'recipient', refusal, `the key may send to ${text}`, `the key may not send to ${text}`);
  });
  if (to.length === 0 || steps.some(({ rule }) => rule === 'number of recipients')) return steps;
  return [...steps, step('RCPT', 'number of recipients', undefined, 'there are not too many')];
}

function messageSteps(policy: Policy, principal: Principal, { headerFrom, size }: Attempt): Step[] {
  const refusal = policy.fromFields(principal, headerFrom);
  const text = headerFrom.join(', ');
  const good = `the key may send with From: ${text}`;
  const bad = `the key may not send as ${text} (header From)`;
  return [
    ...(headerFrom.length ? [step('DATA', 'header From', refusal, good, bad)] : []),
    ...sizeSteps('end of data', policy, principal, size),
  ];
}
