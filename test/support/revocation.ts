// A key that has died, as its holders see it: by SMTP and over HTTP, of a worker of the test and of a built server.
import { ask } from './contract.js';
import type { Dialogue } from './dialogue.js';
import { until } from './until.js';

/** What is promised: a good answer to anything that is asked for later is a broken promise. */
export const DEAD_WITHIN_MS = 1000;

/**
 * Asks again and again. @param isFinal which answer ends it; those before may be good, or, while Redis is away, faults.
 * @returns that answer; no good one may come to what was asked for after `deadAt`.
 */
export function firstRefusal(deadAt: number, attempt: () => Promise<string>, isFinal = /^4/): Promise<string> {
  return until('a refusal', async () => {
    const askedAt = Date.now();
    const answer = await attempt();
    if (/^2/.test(answer) && askedAt > deadAt)
      throw new Error(`${answer}, asked for ${askedAt - deadAt} ms after the key was dead`);
    return isFinal.test(answer) && answer;
  });
}

export const mailOn = (dialogue: Dialogue) => async (): Promise<string> => {
  const answer = await dialogue.line('MAIL FROM:<a@example.com>');
  if (answer.startsWith('250')) await dialogue.line('RSET');
  return answer;
};

/** A call that needs nothing but a key. @param base of the server. */
export const scopesOf = (base: string, key: string) => async (): Promise<string> =>
  String((await ask(base, '/v3/scopes', { key })).status);
