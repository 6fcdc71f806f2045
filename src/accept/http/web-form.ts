// The form of the old call, urlencoded or multipart, as fields and files. Everything is bounded: by the budget of the
// body, and in number. @fastify/busboy, the parser under fastify's plugin for multipart, reads both kinds from the
// stream itself, so that the budget sees each piece before it is kept.
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { pipeline } from 'node:stream/promises';
import { badRequest, RequestFault, unsupported } from './answers.js';
import { bounded, type BodyBudget } from './body.js';

interface FormFile {
  /** `logo.png` of `files[logo.png]`. */
  name: string;
  /** The file name of the part, where it has one of its own. */
  filename: string;
  type: string;
  content: Buffer;
}

export interface WebForm {
  /** The values of each field in the order they came; `to[]` and `to[0]` are `to`. */
  fields: Map<string, string[]>;
  files: FormFile[];
}

const MAX_PARTS = 10_000;
const MAX_FIELD_NAME = 1000;

/** @param body the stream of octets. @throws RequestFault */
export async function readWebForm(
  body: unknown,
  contentType: string | undefined,
  maxBytes: number,
  budget: BodyBudget,
): Promise<WebForm> {
  const type = contentType ?? '';
  const isMultipart = /^multipart\/form-data *;/i.test(type);
  if (!isMultipart && !/^application\/x-www-form-urlencoded *(;|$)/i.test(type)) {
    throw unsupported('Content-Type should be application/x-www-form-urlencoded or multipart/form-data');
  }
  // Octets of urlencoded fields are kept apart as latin1: a file may be one of them, and need not be UTF-8.
  const headers = { 'content-type': isMultipart ? type : 'application/x-www-form-urlencoded; charset=latin1' };
  const form: WebForm = { fields: new Map(), files: [] };
  const parser = parserOf(headers, maxBytes);
  const fault = collect(parser, form, isMultipart);
  await pipeline(bounded(body, budget), parser, { end: true }).catch((error: unknown) => {
    throw error instanceof RequestFault ? error : badRequest('The form cannot be read');
  });
  if (fault.text) throw badRequest(fault.text);
  return form;
}

function parserOf(headers: { 'content-type': string }, maxBytes: number) {
  const limits = { fieldNameSize: MAX_FIELD_NAME, fieldSize: maxBytes, parts: MAX_PARTS, fields: MAX_PARTS };
  try {
    return new Busboy({ headers, limits });
  } catch {
    throw badRequest('The form cannot be read');
  }
}

/** @returns where a fault is noted that the parser does not throw. */
function collect(parser: ReturnType<typeof parserOf>, form: WebForm, isMultipart: boolean): { text: string } {
  const fault = { text: '' };
  const tooMany = () => void (fault.text = `At most ${MAX_PARTS} fields can be sent`);
  parser.on('partsLimit', tooMany);
  parser.on('fieldsLimit', tooMany);
  parser.on('field', (name: string, value: string) => addField(form, name, value, isMultipart));
  parser.on('file', (name: string, stream: BusboyFileStream, filename: string, _encoding: string, type: string) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      form.files.push({ name: innerName('files', name) ?? name, filename, type, content: Buffer.concat(chunks) });
    });
  });
  return fault;
}

function addField(form: WebForm, name: string, value: string, isMultipart: boolean): void {
  const file = innerName('files', isMultipart ? name : utf8(name));
  if (file !== undefined) {
    const content = Buffer.from(value, isMultipart ? 'utf8' : 'latin1');
    form.files.push({ name: file, filename: '', type: '', content });
    return;
  }
  const key = (isMultipart ? name : utf8(name)).replace(/^((?:to|cc|bcc)(?:name)?)\[\d*\]$/, '$1');
  form.fields.set(key, [...(form.fields.get(key) ?? []), isMultipart ? value : utf8(value)]);
}

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');

/** `x` of `files[x]`. */
export function innerName(outer: string, name: string): string | undefined {
  return name.startsWith(`${outer}[`) && name.endsWith(']') ? name.slice(outer.length + 1, -1) : undefined;
}
