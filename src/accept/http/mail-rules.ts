// Rules of POST /v3/mail/send between fields. They look at the body as it came, so that they can say what is wrong beside
// what the schema finds; whatever has a type they do not expect they leave to the schema.
import { fault, type Fault } from './fault.js';
import { hasControls } from './controls.js';

type Json = Record<string, unknown>;

const MAX_SCHEDULE_SECONDS = 72 * 3600;
const MAX_RECIPIENTS = 1000;
const MAX_CATEGORIES = 10;
const MAX_CATEGORY = 255;
const MAX_CUSTOM_ARGS_BYTES = 10_000;
const MAX_SUBSTITUTIONS_BYTES = 50_000;
const MAX_TAGS = 150;
const MAX_TAG = 100;
/** RFC 5322 2.1.1, less the blank that a folded line begins with. */
const MAX_WORD = 997;

const NO_SUBJECT =
  'The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined.';
const NO_CONTENT =
  'Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block. We typically suggest both text/plain and text/html blocks are included, but only one block is required.';
const CONTENT_ORDER =
  'Following RFC 1341, section 7.2, if either text/html or text/plain are to be sent in your email: text/plain needs to be first, followed by text/html, followed by any other content.';

/** In lower case. */
const RESERVED_HEADERS = new Set([
  ...['x-sg-id', 'x-sg-eid', 'received', 'dkim-signature', 'content-type', 'content-transfer-encoding'],
  ...['to', 'from', 'subject', 'reply-to', 'cc', 'bcc'],
]);

/** @param now milliseconds since the epoch. */
export function ruleFaults(body: Json, now: number): Fault[] {
  const personalizations = objects(body.personalizations);
  return [
    ...recipientFaults(personalizations),
    ...composeFaults(body, personalizations),
    ...headerFaults(body.headers, ['headers']),
    ...emptyArgFaults(body.custom_args, ['custom_args']),
    ...categoryFaults(body.categories),
    ...scheduleFaults(body.send_at, ['send_at'], now),
    ...personalizations.flatMap((each, index) => personalizationFaults(body, each, index, now)),
    ...tagFaults(body.sections, ['sections']),
    ...wholeFaults(body),
  ];
}

function personalizationFaults(body: Json, each: Json, index: number, now: number): Fault[] {
  const path = ['personalizations', index];
  return [
    ...duplicateFaults(each, index),
    ...headerFaults(each.headers, [...path, 'headers']),
    ...scheduleFaults(each.send_at, [...path, 'send_at'], now),
    ...emptyArgFaults(each.custom_args, [...path, 'custom_args']),
    ...customArgFaults(body.custom_args, each.custom_args, [...path, 'custom_args']),
    ...substitutionFaults(body, each, [...path, 'substitutions']),
  ];
}

function recipientFaults(personalizations: Json[]): Fault[] {
  const count = personalizations.reduce((sum, { to, cc, bcc }) => sum + [to, cc, bcc].flatMap(objects).length, 0);
  if (count <= MAX_RECIPIENTS || personalizations.length > MAX_RECIPIENTS) return [];
  const message = `There is a limit of ${MAX_RECIPIENTS} total recipients (to + cc + bcc) per request.`;
  return [fault(message, ['personalizations'])];
}

/** The first address that comes twice in one personalization, whatever the case of its letters. */
function duplicateFaults(personalization: Json, index: number): Fault[] {
  const seen = new Set<string>();
  for (const field of ['to', 'cc', 'bcc']) {
    for (const { email } of objects(personalization[field])) {
      if (typeof email !== 'string') continue;
      const address = email.trim().toLowerCase();
      if (seen.has(address)) {
        const message =
          'Each email address in the personalization block should be unique between to, cc, and bcc. ' +
          `We found the first duplicate instance of [${email.slice(0, 320)}] in the personalizations.${index}.${field} field.`;
        return [fault(message, ['personalizations', index], '.recipient-errors')];
      }
      seen.add(address);
    }
  }
  return [];
}

/**
 * There are no templates here. Mail that brings its subject and its content is whole without its template; where one of
 * them is to come from the template, no id is one of this account.
 */
function composeFaults(body: Json, personalizations: Json[]): Fault[] {
  const missing = [...subjectFaults(body, personalizations), ...missingContentFaults(body)];
  const template = text(body.template_id);
  const message = `The Template ID must be a valid template id for your account. You provided [${template.slice(0, 100)}].`;
  return [
    ...(template && missing.length > 0 ? [fault(message, ['template_id'])] : []),
    ...missing,
    ...contentOrderFaults(body),
  ];
}

function subjectFaults(body: Json, personalizations: Json[]): Fault[] {
  const missing = (subject: unknown): boolean => subject === undefined || subject === null || subject === '';
  if (!missing(body.subject)) return [];
  const everyOne = personalizations.length > 0 && personalizations.every(({ subject }) => !missing(subject));
  // An empty subject has its own words, from the schema.
  return everyOne || body.subject === '' ? [] : [fault(NO_SUBJECT, ['subject'])];
}

function missingContentFaults({ content }: Json): Fault[] {
  const isMissing = content === undefined || content === null || (Array.isArray(content) && content.length === 0);
  return isMissing ? [fault(NO_CONTENT, ['content'])] : [];
}

function contentOrderFaults({ content }: Json): Fault[] {
  const ranks = objects(content).map(({ type }) => rankOf(text(type).toLowerCase()));
  const sorted = ranks.every((rank, at) => at === 0 || ranks[at - 1]! <= rank);
  return sorted ? [] : [fault(CONTENT_ORDER, ['content'])];
}

const rankOf = (type: string): number => ({ 'text/plain': 0, 'text/html': 1 })[type] ?? 2;

function headerFaults(headers: unknown, path: (string | number)[]): Fault[] {
  const seen = new Set<string>();
  return Object.entries(object(headers)).flatMap(([name, value]) => {
    const key = name.toLowerCase();
    const message = headerNameFault(name, key, seen) ?? headerValueFault(value);
    seen.add(key);
    return message ? [fault(message, [...path, name.slice(0, 100)], '.headers')] : [];
  });
}

function headerNameFault(name: string, key: string, seen: Set<string>): string | undefined {
  if (!/^[!-~]+$/.test(name)) return 'Header keys cannot contain non-ASCII characters or empty spaces.';
  if (name.includes(':')) return 'Header keys cannot contain a colon.';
  if (name.length > 200) return 'Header keys cannot be longer than 200 characters.';
  if (RESERVED_HEADERS.has(key)) return 'Header cannot be one of the reserved keys.';
  return seen.has(key) ? 'The headers cannot contain duplicate keys.' : undefined;
}

function headerValueFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (hasControls(value)) return 'Header values cannot contain CRLF or other control characters.';
  // What is not ASCII is encoded in short words.
  const isUnfoldable = /^[ -~]*$/.test(value) && value.split(' ').some((word) => word.length > MAX_WORD);
  return isUnfoldable ? `Header values need a blank in every ${MAX_WORD} characters: a line has an end.` : undefined;
}

function categoryFaults(categories: unknown): Fault[] {
  if (!Array.isArray(categories)) return [];
  const count = categories.length;
  const tooMany = `There is a limit of ${MAX_CATEGORIES} categories for each email that is sent. You provided ${count} categories.`;
  const faults = count > MAX_CATEGORIES ? [fault(tooMany, ['categories'])] : [];
  const seen = new Set<unknown>();
  return faults.concat(
    categories.flatMap((category, index) => {
      const message = typeof category === 'string' ? categoryFault(category, seen) : undefined;
      seen.add(category);
      return message ? [fault(message, ['categories', index])] : [];
    }),
  );
}

function categoryFault(category: string, seen: Set<unknown>): string | undefined {
  const shown = category.slice(0, 50);
  if (category.length > MAX_CATEGORY) {
    return `Each category must not be longer than ${MAX_CATEGORY} characters. [${shown}...] exceeds this limit`;
  }
  if (!/^[\x20-\x7E]*$/.test(category)) return 'Categories can not contain non-ASCII characters.';
  return seen.has(category)
    ? `The categories must be a unique list, and you have included [${shown}] more than once.`
    : undefined;
}

function scheduleFaults(sendAt: unknown, path: (string | number)[], now: number): Fault[] {
  const tooFar = typeof sendAt === 'number' && sendAt > now / 1000 + MAX_SCHEDULE_SECONDS;
  return tooFar ? [fault('Scheduling more than 72 hours in advance is forbidden.', path)] : [];
}

function emptyArgFaults(args: unknown, path: (string | number)[]): Fault[] {
  const isEmpty = args === object(args) && Object.keys(object(args)).length === 0;
  return isEmpty ? [fault('custom_args cannot be empty.', path)] : [];
}

function customArgFaults(global: unknown, own: unknown, path: (string | number)[]): Fault[] {
  if (sizeOf({ ...object(global), ...object(own) }) <= MAX_CUSTOM_ARGS_BYTES) return [];
  const message =
    'The combined size of both global and personalization custom arguments may not exceed 10,000 bytes per personalization.';
  return [fault(message, path)];
}

function substitutionFaults(body: Json, { substitutions }: Json, path: (string | number)[]): Fault[] {
  if (text(body.template_id).startsWith('d-') && substitutions) {
    return [fault('Substitutions may not be used with dynamic templating', path)];
  }
  if (sizeOf(object(substitutions)) <= MAX_SUBSTITUTIONS_BYTES) return tagFaults(substitutions, path);
  return [fault('The substitutions of one personalization may not exceed 50,000 bytes.', path)];
}

/** Every tag is looked for everywhere in every text: without bounds a small request would be long work. */
function tagFaults(tags: unknown, path: (string | number)[]): Fault[] {
  const names = Object.keys(object(tags));
  if (names.length > MAX_TAGS)
    return [fault(`There is a limit of ${MAX_TAGS} tags. You provided ${names.length}.`, path)];
  const isLong = names.some((name) => name.length > MAX_TAG);
  return isLong ? [fault(`Tags cannot be longer than ${MAX_TAG} characters.`, path)] : [];
}

/** Octets of names and values. */
function sizeOf(values: Json): number {
  return Object.entries(values).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text(value)),
    0,
  );
}

function wholeFaults(body: Json): Fault[] {
  const faults: Fault[] = [];
  if (body.reply_to && body.reply_to_list) {
    faults.push(fault('The reply_to and reply_to_list parameters cannot be used together.', ['reply_to_list']));
  }
  const replies = objects(body.reply_to_list).map(({ email }) => text(email).trim().toLowerCase());
  if (new Set(replies).size < replies.length) {
    faults.push(fault('Each email address in the reply_to_list should be unique.', ['reply_to_list']));
  }
  const settings = object(body.mail_settings);
  const bypasses = (name: string): boolean => object(settings[`bypass_${name}_management`]).enable === true;
  if (bypasses('list') && ['spam', 'bounce', 'unsubscribe'].some(bypasses)) {
    const message = 'bypass_list_management cannot be combined with any other bypass setting.';
    faults.push(fault(message, ['mail_settings', 'bypass_list_management']));
  }
  return faults;
}

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};

const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
