// From the form of the old call to the request of the new one, so that both are checked and sent by the same code. What
// stands in `x-smtpapi` makes personalizations: one for each of its recipients, with its own substitutions.
import type { Attachment } from './outgoing.js';
import { badRequest, RequestFault } from './answers.js';
import { checkedRequest, usableType } from './checked-request.js';
import { hasControls } from './controls.js';
import { wholeFault } from './fault.js';
import type { RequestBody } from './outgoing.js';
import { formMailbox, personalizationsOf, readObject, readSmtpApi, type FormMailbox, type SmtpApi } from './smtpapi.js';
import { innerName, type WebForm } from './web-form.js';

/** @param now milliseconds since the epoch. @throws RequestFault with SendGrid's words for the old call. */
export async function webRequest(form: WebForm, now: number): Promise<RequestBody> {
  const api = readSmtpApi(first(form, 'x-smtpapi'));
  const missing = missingFaults(form, api);
  if (missing.length > 0) throw new RequestFault(400, missing.map(wholeFault));
  const checked = await checkedRequest(requestOf(form, api), now).catch((error: unknown) => {
    throw error instanceof RequestFault ? plainFault(error) : error;
  });
  return { ...checked, attachments: attachmentsOf(form), ignored: [...checked.ignored, ...api.filters] };
}

const first = (form: WebForm, name: string): string => form.fields.get(name)?.[0] ?? '';

function missingFaults(form: WebForm, api: SmtpApi): string[] {
  return [
    ...(first(form, 'from').trim() ? [] : ['Empty from email address (required)']),
    ...(api.to.length || filled(form, 'to').length ? [] : ['Missing destination email']),
    ...(first(form, 'subject') ? [] : ['Missing subject']),
    ...(first(form, 'text') || first(form, 'html') ? [] : ['Missing email body']),
  ];
}

/** The old call has plain texts; the field stands in front of those that do not name it. */
function plainFault({ status, faults }: RequestFault): RequestFault {
  return new RequestFault(
    status,
    faults.map(({ field, message }) => wholeFault(field ? `${field}: ${message}` : message)),
  );
}

function requestOf(form: WebForm, api: SmtpApi): Record<string, unknown> {
  const [text, html] = [first(form, 'text'), first(form, 'html')];
  const replyTo = first(form, 'replyto').trim();
  const people = { to: mailboxes(form, 'to'), cc: mailboxes(form, 'cc'), bcc: mailboxes(form, 'bcc') };
  return {
    personalizations: personalizationsOf(api, withoutRepeats(people)),
    from: formMailbox(first(form, 'from'), first(form, 'fromname')),
    ...(replyTo ? { reply_to: formMailbox(replyTo, '') } : {}),
    subject: first(form, 'subject'),
    content: [
      ...(text ? [{ type: 'text/plain', value: text }] : []),
      ...(html ? [{ type: 'text/html', value: html }] : []),
    ],
    headers: headersOf(form),
    ...api.request,
  };
}

/** Empty values are none: old clients send `to=` when x-smtpapi has the recipients. */
const filled = (form: WebForm, name: string): string[] => (form.fields.get(name) ?? []).filter((each) => each.trim());

function mailboxes(form: WebForm, field: string): FormMailbox[] {
  const names = form.fields.get(`${field}name`) ?? [];
  return filled(form, field).map((address, index) => formMailbox(address, names[index] ?? ''));
}

/** The old call takes an address that comes twice; it gets one copy. */
function withoutRepeats<T extends { [field in keyof T]: FormMailbox[] }>(people: T): T {
  const seen = new Set<string>();
  const isNew = ({ email }: FormMailbox): boolean => {
    const address = email.toLowerCase();
    return !seen.has(address) && Boolean(seen.add(address));
  };
  return Object.fromEntries(
    Object.entries<FormMailbox[]>(people).map(([field, list]) => [field, list.filter(isNew)]),
  ) as T;
}

/** @throws RequestFault */
function headersOf(form: WebForm): Record<string, unknown> {
  const headers = readObject(first(form, 'headers'), 'headers');
  const date = first(form, 'date').trim();
  if (!date) return headers;
  if (Number.isNaN(Date.parse(date)) || hasControls(date)) throw badRequest('date: expected a date as RFC 2822 has it');
  return { Date: date, ...headers };
}

/** A file with a content id stands inline. */
function attachmentsOf(form: WebForm): Attachment[] {
  return form.files.map(({ name, filename, type, content }) => {
    const ids = [name, filename].flatMap((each) => form.fields.get(`content[${each}]`) ?? []);
    const shown = innerName('files', name) ?? (name || filename);
    if ([shown, ...ids].some(hasControls))
      throw badRequest('The filename of your attachment cannot contain CRLF characters.');
    return {
      ...{ content, filename: shown, type: usableType(type === 'application/octet-stream' ? '' : type) },
      disposition: ids[0] ? 'inline' : 'attachment',
      contentId: ids[0],
    };
  });
}
