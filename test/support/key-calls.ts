// The calls of /v3/api_keys, made with the key of an owner unless another is given.
import type { Restrictions } from '../../src/keys/policy.js';
import type { Ask } from './contract.js';
import type { HttpAnswer } from './http.js';

export const KEYS = '/v3/api_keys';

interface Shown {
  api_key: string;
  api_key_id: string;
  name: string;
  scopes: string[];
  restrictions?: Restrictions;
}

export const shown = (answer: HttpAnswer): Shown => answer.json as Shown;

/** The text of an error of one message. */
export const error = (message: string, field: string | null = null): string =>
  JSON.stringify({ errors: [{ field, message }] });

export class KeyCalls {
  constructor(
    private readonly ask: Ask,
    private readonly owner: string,
  ) {}

  post(body: unknown, key = this.owner): Promise<HttpAnswer> {
    return this.ask(KEYS, { method: 'POST', body, key });
  }

  put(id: string, body: unknown, key = this.owner): Promise<HttpAnswer> {
    return this.ask(`${KEYS}/${id}`, { method: 'PUT', body, key });
  }

  patch(id: string, body: unknown, key = this.owner): Promise<HttpAnswer> {
    return this.ask(`${KEYS}/${id}`, { method: 'PATCH', body, key });
  }

  get(id: string, key = this.owner): Promise<HttpAnswer> {
    return this.ask(`${KEYS}/${id}`, { key });
  }
}
