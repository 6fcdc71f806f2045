// Reads request bodies as the official libraries send them: a Content-Type without a body, gzip, JSON that must be
// UTF-8. Promise: a compressed body counts against the limit with its full size, and none is unpacked beyond it.
import { isUtf8 } from 'node:buffer';
import { pipeline, Transform, type Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fault, statusText } from './http-error.js';

/** A parser for JSON; a body of another type is a 415, unless a plugin adds a parser for its own routes. */
export function readBodies(server: FastifyInstance): void {
  server.addHook('onRequest', (request, _reply, done) => {
    // Without a body its type says nothing, and must not be refused.
    if (!hasBody(request)) delete request.raw.headers['content-type'];
    done();
  });
  server.addHook('preParsing', async (request, _reply, payload) => unpacked(request, payload as Readable));
  server.removeAllContentTypeParsers();
  const parseJson = server.getDefaultJsonParser('error', 'ignore');
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined);
    if (!isUtf8(body)) return done(fault(415, 'Invalid UTF8 in request'));
    void parseJson(request, body.toString('utf8'), (error, value) => done(error && fault(400, statusText(400)), value));
  });
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** @throws HttpFault for an encoding that is not known. */
function unpacked(request: FastifyRequest, payload: Readable): Readable {
  const encoding = (request.headers['content-encoding'] ?? '').trim().toLowerCase();
  if (encoding === '' || encoding === 'identity' || !hasBody(request)) return payload;
  const maxBytes = request.routeOptions.bodyLimit;
  if (encoding === 'gzip' || encoding === 'x-gzip') return limited(payload, createGunzip(), maxBytes);
  if (encoding === 'deflate') return limited(payload, createInflate(), maxBytes);
  throw fault(415, 'Content-Encoding should be gzip, deflate or absent');
}

/** What comes out of `unpacker`, cut off with 413 as soon as it is more than `maxBytes`. */
function limited(payload: Readable, unpacker: Transform, maxBytes: number): Readable {
  let packedLength = 0;
  let length = 0;
  payload.on('data', (chunk: Buffer) => (packedLength += chunk.length));
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      length += chunk.length;
      if (length > maxBytes) done(fault(413, statusText(413)));
      else done(null, chunk);
    },
  });
  // fastify compares this with Content-Length.
  Object.defineProperty(meter, 'receivedEncodedLength', { get: () => packedLength });
  unpacker.on('error', () => meter.destroy(fault(400, 'the body is not what its Content-Encoding says')));
  pipeline(unpacker, meter, () => unpacker.destroy());
  // Not a pipeline: the request must live on, to be answered.
  payload.pipe(unpacker);
  unpacker.on('close', () => payload.resume());
  return meter;
}
