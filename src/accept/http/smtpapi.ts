// The JSON of X-SMTPAPI, as the old call carries it: recipients of their own, substitutions, sections, categories,
// arguments and times, in the words of the new call. Filters are kept by name only: none of them exists here.
import { badRequest } from './answers.js';

export interface FormMailbox {
  email: string;
  name?: string;
}

export interface SmtpApi {
  /** When given, each of these gets a copy of its own, and the recipients of the form get none. */
  to: string[];
  /** By tag: the value of each recipient. */
  sub: Record<string, string[]>;
  sendEachAt: unknown[];
  /** Members of the new call's request. */
  request: Record<string, unknown>;
  /** Names of the filters that were switched on. */
  filters: string[];
}

interface People {
  to: FormMailbox[];
  cc: FormMailbox[];
  bcc: FormMailbox[];
}

/** @throws RequestFault */
export function readSmtpApi(json: string): SmtpApi {
  const api = readObject(json, 'x-smtpapi');
  const given = (value: unknown): boolean => value !== undefined && value !== null && value !== '';
  const request = {
    ...(given(api.section) ? { sections: texts(memberObject(api, 'section')) } : {}),
    ...(given(api.category) ? { categories: [...new Set([api.category].flat())] } : {}),
    ...(isFilled(api.unique_args) ? { custom_args: texts(memberObject(api, 'unique_args')) } : {}),
    ...(given(api.send_at) ? { send_at: api.send_at } : {}),
    ...(given(api.batch_id) ? { batch_id: api.batch_id } : {}),
    ...(given(api.ip_pool) ? { ip_pool_name: api.ip_pool } : {}),
    ...(given(api.asm_group_id) ? { asm: { group_id: api.asm_group_id } } : {}),
  };
  const filters = Object.entries(memberObject(api, 'filters'));
  return {
    to: [api.to ?? []].flat().map((each) => text(each, 'to')),
    sub: substitutionsOf(memberObject(api, 'sub')),
    sendEachAt: [api.send_each_at ?? []].flat(),
    request,
    filters: filters.filter(([, filter]) => isOn(filter)).map(([name]) => `filters.${name.slice(0, 40)}`),
  };
}

/** @param people of the form. @throws RequestFault */
export function personalizationsOf(api: SmtpApi, people: People): Record<string, unknown>[] {
  const own = (index: number): Record<string, unknown> => ({
    substitutions: Object.fromEntries(Object.entries(api.sub).map(([tag, values]) => [tag, values[index] ?? ''])),
    ...(api.sendEachAt[index] === undefined ? {} : { send_at: api.sendEachAt[index] }),
  });
  if (api.to.length === 0) return [{ ...people, ...own(0) }];
  if (people.cc.length + people.bcc.length > 0)
    throw badRequest('cc and bcc cannot be used beside the to of x-smtpapi');
  return api.to.map((address, index) => ({ to: [formMailbox(address, '')], ...own(index) }));
}

/** `address` may be `Name <address>`. */
export function formMailbox(address: string, name: string): FormMailbox {
  const [, inner = '', email = address] = /^([^<>]*)<([^<>]*)>\s*$/.exec(address) ?? [];
  const shown = name || inner.trim().replace(/^"(.*)"$/, '$1');
  return { email: email.trim(), ...(shown ? { name: shown } : {}) };
}

/** The value of a form field that is a JSON object; '' is an empty one. @throws RequestFault */
export function readObject(json: string, field: string): Record<string, unknown> {
  if (!json.trim()) return {};
  const value = parsed(json);
  // PHP encodes an empty object as an empty list.
  if (Array.isArray(value) && value.length === 0) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badRequest(`${field}: expected a JSON object`);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function memberObject(api: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = api[name] ?? {};
  if (Array.isArray(value) && value.length === 0) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badRequest(`x-smtpapi: ${name} should be an object`);
}

/** The old library sends what it was not given as an empty object. */
const isFilled = (value: unknown): boolean => Object.keys(value ?? {}).length > 0;

function substitutionsOf(sub: Record<string, unknown>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(sub).map(([tag, values]) => [tag, [values].flat().map((value) => text(value, `sub.${tag}`))]),
  );
}

function texts(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value, name)]));
}

/** Old clients send numbers where text is meant. */
function text(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw badRequest(`x-smtpapi: ${name.slice(0, 100)} should be text`);
}

function isOn(filter: unknown): boolean {
  const { settings } = (filter ?? {}) as { settings?: { enable?: unknown } };
  return Boolean(Number(settings?.enable ?? 0));
}
