// One HTTP request with exactly the path, headers and octets of the test; fetch would tidy them up. Tests use `ask` of
// contract.ts, which also holds the answer against /openapi.json.
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The parsed text, or undefined when it is not JSON. */
  json: unknown;
}

export interface HttpQuestion {
  method?: string;
  headers?: Record<string, string>;
  /** An object is sent as JSON. */
  body?: unknown;
  key?: string;
}

export function exchange(base: string, path: string, question: HttpQuestion = {}): Promise<HttpAnswer> {
  const { hostname, port } = new URL(base);
  const { method = 'GET', key, body } = question;
  const isRaw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  const octets = isRaw ? body : JSON.stringify(body);
  const isChunked = Object.keys(question.headers ?? {}).includes('transfer-encoding');
  const headers = {
    // Node sends the body of a DELETE without its length.
    ...(octets !== undefined && !isChunked && { 'content-length': String(Buffer.byteLength(octets)) }),
    ...(key && { authorization: `Bearer ${key}` }),
    ...(!isRaw && { 'content-type': 'application/json' }),
    ...question.headers,
  };
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) });
      });
    });
    asked.on('error', reject);
    asked.end(octets);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
