// What tests of the calls that send mail need: a request, and the mail that came of it, read back by a MIME parser.
import { simpleParser, type ParsedMail } from 'mailparser';
import { ask } from './contract.js';
import type { HttpAnswer as Answer } from './http.js';
import type { TestWorker } from './worker.js';

export type HttpAnswer = Omit<Answer, 'headers'> & { headers: Headers };

export type Json = Record<string, unknown>;

/** One personalization, with `more` in place of or beside its members. */
export const person = (more: Json = {}): Json => ({
  personalizations: [{ to: [{ email: 'you@example.com' }], ...more }],
});

/** The least that can be sent, with `more` in place of or beside its members. */
export function mail(more: Json = {}): Json {
  return {
    ...person(),
    from: { email: 'app@example.com' },
    subject: 'Hello',
    content: [{ type: 'text/plain', value: 'It works.' }],
    ...more,
  };
}

export async function call(
  worker: TestWorker,
  path: string,
  {
    method = 'POST',
    key,
    body,
    headers = {},
  }: { method?: string; key?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<HttpAnswer> {
  const question = {
    ...{
      method,
      body,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...lower(headers) },
    },
    ...(key ? { key } : {}),
  };
  const answer = await ask(worker.httpUrl, path, question);
  return { ...answer, headers: new Headers(answer.headers as Record<string, string>) };
}

const lower = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

/** Sends and expects 202. @returns the queue id. */
export async function sendJson(worker: TestWorker, key: string, body: unknown): Promise<string> {
  const answer = await call(worker, '/v3/mail/send', { key, body });
  expect({ status: answer.status, text: answer.text }).toEqual({ status: 202, text: '' });
  return answer.headers.get('x-message-id')!;
}

export interface Kept {
  raw: string;
  header: string;
  parsed: ParsedMail;
  to: string[];
}

/** A message as it will be relayed. */
export async function kept(worker: TestWorker, id: string): Promise<Kept> {
  const octets = (await worker.desk.body(id))!;
  const message = (await worker.desk.find(id))!;
  const raw = octets.toString('latin1');
  return {
    raw,
    header: raw.slice(0, raw.indexOf('\r\n\r\n')),
    parsed: await simpleParser(octets),
    to: message.record.envelope.to,
  };
}
