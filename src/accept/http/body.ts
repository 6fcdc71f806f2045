// The body of a request on its way in: bounded, and accounted for in the same budget as messages that come by SMTP, so
// that all requests together cannot take more memory than the operator gave.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { refuse } from '../../message/refusal.js';
import type { Budget } from '../budget.js';
import { badRequest, faultOfRefusal } from './answers.js';

/** A body is held up to twice: as it came and as values, then as values and as what is made of them. */
const COPIES = 2;

/** What one request holds of the budget, until it is given back. */
export class BodyBudget {
  #held = 0;
  #octets = 0;
  readonly #hash = createHash('sha256');

  constructor(
    private readonly budget: Budget,
    private readonly maxBytes: number,
  ) {}

  /** Refuses a body whose Content-Length is too much before it is read. @throws RequestFault */
  expect(contentLength: string | undefined): void {
    this.#mayBe(Number(contentLength ?? 0));
  }

  /** Of all octets that came; asked for once, at the end. */
  fingerprint(): string {
    return this.#hash.digest('base64url');
  }

  /** Accounts for octets that came. @throws RequestFault */
  add(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#octets += chunk.length;
    this.#mayBe(this.#octets);
    const held = this.#octets * COPIES;
    if (!this.budget.move(this.#held, held)) throw faultOfRefusal(refuse('storage-full'));
    this.#held = held;
  }

  free(): void {
    this.budget.move(this.#held, 0);
    this.#held = 0;
  }

  #mayBe(octets: number): void {
    if (octets > this.maxBytes) throw faultOfRefusal(refuse('too-big', { limit: this.maxBytes }));
  }
}

/**
 * The octets of a body, unpacked already, piece by piece. The stream is left as it is when nobody wants more of it: the
 * answer still goes over its socket. @throws RequestFault
 */
export async function* bounded(body: unknown, budget: BodyBudget): AsyncGenerator<Buffer> {
  // Without a body there is nothing to read.
  if (body === undefined || body === null) throw badRequest();
  for await (const chunk of (body as Readable).iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    budget.add(chunk);
    yield chunk;
  }
}
