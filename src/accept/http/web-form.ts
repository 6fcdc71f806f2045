// The form of the old call, urlencoded or multipart, as fields and files. Everything is bounded: by the budget of the
// body, and in number. @fastify/busboy, the parser under fastify's plugin for multipart, reads that kind from the stream
// itself, so that the budget sees each piece before it is kept; of a long urlencoded field it makes a string an octet.
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { pipeline } from 'node:stream/promises';
import { badRequest, RequestFault, unsupported } from './answers.js';
import { bounded, type BodyBudget } from './body.js';
import { UrlencodedReader } from './urlencoded.js';

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
  const form: WebForm = { fields: new Map(), files: [] };
  const fault = isMultipart
    ? await readMultipart(bounded(body, budget), type, maxBytes, form)
    : await readUrlencoded(bounded(body, budget), form);
  if (fault) throw badRequest(fault);
  return form;
}

const TOO_MANY = `At most ${MAX_PARTS} fields can be sent`;

/** @returns a fault, or ''. */
async function readUrlencoded(octets: AsyncIterable<Buffer>, form: WebForm): Promise<string> {
  let fault = '';
  let count = 0;
  const reader = new UrlencodedReader((name, value) => {
    if (name.length > MAX_FIELD_NAME) fault = `The name of a field may have ${MAX_FIELD_NAME} octets`;
    else if (++count > MAX_PARTS) fault = TOO_MANY;
    else addField(form, name.toString(), value);
  });
  for await (const piece of octets) reader.append(piece);
  reader.end();
  return fault;
}

async function readMultipart(octets: AsyncIterable<Buffer>, type: string, maxBytes: number, form: WebForm) {
  const parser = parserOf({ 'content-type': type }, maxBytes);
  const fault = collect(parser, form);
  await pipeline(octets, parser, { end: true }).catch((error: unknown) => {
    throw error instanceof RequestFault ? error : badRequest('The form cannot be read');
  });
  return fault.text;
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
function collect(parser: ReturnType<typeof parserOf>, form: WebForm): { text: string } {
  const fault = { text: '' };
  const tooMany = () => void (fault.text = TOO_MANY);
  parser.on('partsLimit', tooMany);
  parser.on('fieldsLimit', tooMany);
  parser.on('field', (name: string, value: string) => addField(form, name, value));
  parser.on('file', (name: string, stream: BusboyFileStream, filename: string, _encoding: string, type: string) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      form.files.push({ name: innerName('files', name) ?? name, filename, type, content: Buffer.concat(chunks) });
    });
  });
  return fault;
}

function addField(form: WebForm, name: string, value: string | Buffer): void {
  const file = innerName('files', name);
  if (file !== undefined) {
    form.files.push({
      name: file,
      filename: '',
      type: '',
      content: Buffer.isBuffer(value) ? value : Buffer.from(value),
    });
    return;
  }
  const key = name.replace(/^((?:to|cc|bcc)(?:name)?)\[\d*\]$/, '$1');
  form.fields.set(key, [...(form.fields.get(key) ?? []), value.toString()]);
}

/** `x` of `files[x]`. */
export function innerName(outer: string, name: string): string | undefined {
  return name.startsWith(`${outer}[`) && name.endsWith(']') ? name.slice(outer.length + 1, -1) : undefined;
}
