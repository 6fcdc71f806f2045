// The body of a request on its way in: bounded, unpacked where it is gzip, and accounted for in the same budget as
// messages that come by SMTP, so that all requests together cannot take more memory than the operator gave.
import type { IncomingHttpHeaders } from 'node:http';
import { finished, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Octets } from '../../base/octets.js';
import { refuse } from '../../message/refusal.js';
import type { Budget } from '../budget.js';
import { badRequest, faultOfRefusal, unsupported } from './answers.js';

/** A body is held about twice while it is read: as octets and as text, then as text and as values. */
const COPIES = 2;

/** What one request holds of the budget, until it is given back. */
export class BodyBudget {
  #held = 0;
  #octets = 0;

  constructor(
    private readonly budget: Budget,
    private readonly maxBytes: number,
  ) {}

  /** Accounts for octets that came. @throws RequestFault */
  add(octets: number): void {
    this.#octets += octets;
    if (this.#octets > this.maxBytes) throw faultOfRefusal(refuse('too-big', { limit: this.maxBytes }));
    const held = this.#octets * COPIES;
    if (!this.budget.move(this.#held, held)) throw faultOfRefusal(refuse('storage-full'));
    this.#held = held;
  }

  free(): void {
    this.budget.move(this.#held, 0);
    this.#held = 0;
  }
}

/**
 * The octets of a body as the client meant them, piece by piece, within the budget.
 * @throws RequestFault for an unknown encoding, for gzip that is none, and when there is too much.
 */
export async function* unpacked(
  payload: Readable,
  headers: IncomingHttpHeaders,
  budget: BodyBudget,
): AsyncGenerator<Buffer> {
  for await (const chunk of decoded(payload, headers)) {
    budget.add(chunk.length);
    yield chunk;
  }
}

async function* decoded(payload: Readable, headers: IncomingHttpHeaders): AsyncGenerator<Buffer> {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === '' || encoding === 'identity') {
    yield* kept(payload);
    return;
  }
  if (encoding !== 'gzip' && encoding !== 'x-gzip') throw unsupported('Content-Encoding should be gzip');
  const gunzip = createGunzip();
  // A client that goes away ends the loop below, which would wait for ever otherwise.
  const stopWatching = finished(payload, (error) => {
    if (error) gunzip.destroy(error);
  });
  try {
    yield* kept(payload.pipe(gunzip));
  } catch (error) {
    throw (error as { code?: string }).code?.startsWith('Z_') ? badRequest('The body is not valid gzip') : error;
  } finally {
    stopWatching();
    payload.unpipe(gunzip);
    gunzip.destroy();
  }
}

/** The octets of a stream that is left as it is when nobody wants more: the answer still goes over its socket. */
function kept(stream: Readable): AsyncIterable<Buffer> {
  return stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

/** The whole body. @throws RequestFault */
export async function readWhole(payload: Readable, headers: IncomingHttpHeaders, budget: BodyBudget): Promise<Buffer> {
  const octets = new Octets();
  for await (const chunk of unpacked(payload, headers, budget)) octets.append(chunk);
  return octets.take();
}
