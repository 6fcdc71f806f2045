// The way in for every test that speaks HTTP: answers are held against OpenAPI documents, our own as the server that was
// asked serves it, and SendGrid's where it is right.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { exchange, type HttpAnswer, type HttpQuestion } from './http.js';

interface Operation {
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components?: { responses?: Record<string, Operation['responses'][string]> };
}

/** An operation is named `GET /v3/api_keys/{api_key_id}`. */
type Skip = Record<string, string[]>;

/**
 * Where SendGrid's files are known to be wrong: one key is answered flat, and without a list around it; `help` of
 * mail/send is a URL and no object.
 */
const WRONG: Skip = {
  'GET /v3/api_keys/{api_key_id}': ['200'],
  'POST /v3/mail/send': ['400', '401', '403', '413', '500'],
};

class Contract {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, unicodeRegExp: false });

  constructor(
    private readonly name: string,
    private readonly document: Document,
    private readonly isWhole: boolean,
    private readonly wrong: Skip = {},
  ) {
    this.#ajv.addSchema(document, name);
  }

  /** Fails when the answer is not one that the document describes; a document that is not whole may not know it. */
  check(method: string, path: string, { status, text, json, headers }: HttpAnswer): void {
    const known = Object.entries(this.document.paths).find(([pattern]) => patternOf(pattern).test(plain(path)));
    const operation = known?.[1][method.toLowerCase()];
    if (!known || !operation) return;
    const name = `${method} ${known[0]}`;
    if (this.wrong[name]?.includes(String(status))) return;
    const pointer = this.#answer(known[0], method.toLowerCase(), status);
    if (!pointer) {
      if (this.isWhole) throw new Error(`${this.name}: ${name} does not say that it answers ${status} (${text})`);
      return;
    }
    const type = (headers['content-type'] ?? '').split(';')[0]!;
    const content = pointer.answer.content?.[type];
    if (!content) {
      if (text !== '') throw new Error(`${this.name}: ${name} ${status} may not answer ${type}: ${text}`);
      return;
    }
    const schema = `${this.name}#${pointer.at}/content/${escaped(type)}/schema`;
    const validate = this.#ajv.getSchema(schema);
    if (!validate) throw new Error(`no schema ${schema}`);
    if (!validate(type === 'application/json' ? json : text)) {
      throw new Error(`${this.name}: ${name} ${status} ${this.#ajv.errorsText(validate.errors)}: ${text}`);
    }
  }

  #answer(path: string, method: string, status: number) {
    const answer = this.document.paths[path]![method]!.responses[status];
    if (!answer?.$ref) return answer && { answer, at: `/paths/${escaped(path)}/${method}/responses/${status}` };
    const name = answer.$ref.split('/').at(-1)!;
    return { answer: this.document.components!.responses![name]!, at: `/components/responses/${name}` };
  }
}

const escaped = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
const plain = (path: string): string => path.split('?')[0]!.replace(/\/+/g, '/');
const patternOf = (path: string): RegExp => new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`);

function sendgridContract(file: string): Contract {
  const text = readFileSync(join(__dirname, '../fixtures/sendgrid-oai', file), 'utf8');
  // OpenAPI 3.1 has no `nullable` any more; the files use it all the same.
  const document = JSON.parse(text, (_name, value: unknown) =>
    isNullable(value) ? { ...value, type: [value.type, 'null'] } : value,
  ) as Document;
  return new Contract(file, document, false, WRONG);
}

function isNullable(value: unknown): value is { type: string } {
  return typeof value === 'object' && value !== null && 'nullable' in value && 'type' in value;
}

const THEIRS = ['api_keys', 'scopes', 'mail', 'scheduled_sends'].map((name) => `tsg_${name}_v3.json`);
const known = new Map<string, Contract[]>();

/** A server that describes itself is held to it and to SendGrid's files; one that does not (of a test's own) to nothing. */
async function contractsOf(base: string): Promise<Contract[]> {
  const found = known.get(base);
  if (found) return found;
  const described = await exchange(base, '/openapi.json').catch(() => undefined);
  if (!described) return [];
  const own = described.status === 200 && [new Contract('postern', described.json as Document, true)];
  const contracts = own ? [...own, ...THEIRS.map(sendgridContract)] : [];
  known.set(base, contracts);
  return contracts;
}

/** Asks the server at `base`. @throws Error when the answer is not one that it says it gives. */
export async function ask(base: string, path: string, question: HttpQuestion = {}): Promise<HttpAnswer> {
  const answer = await exchange(base, path, question);
  for (const contract of await contractsOf(base)) contract.check(question.method ?? 'GET', path, answer);
  return answer;
}

export type Ask = (path: string, question?: HttpQuestion) => Promise<HttpAnswer>;

export const asker =
  (base: string): Ask =>
  (path, question) =>
    ask(base, path, question);
