// From the value that a client sent as JSON to a request that may be acted on, or to everything that is wrong with it.
import { isBase64 } from './base64.js';
import { badRequest, RequestFault } from './answers.js';
import { hasControls, wellFormed } from './controls.js';
import { fault, schemaFaults, type Fault } from './fault.js';
import { mailRequest, type MailRequest } from './mail-request.js';
import { ruleFaults } from './mail-rules.js';
import type { JsonBody } from './json-body.js';
import type { Attachment, RequestBody } from './outgoing.js';

type LongTexts = JsonBody['longTexts'];

const MAX_FAULTS = 100;
const MIME_TYPE = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}$/;

/**
 * @param now milliseconds since the epoch. @param longTexts what stands for contents of attachments, and the contents.
 * @throws RequestFault with all that is wrong, the first hundred of it.
 */
export async function checkedRequest(
  value: unknown,
  now: number,
  longTexts: LongTexts = new Map(),
): Promise<RequestBody> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest();
  // Of a sender that is not there SendGrid misses the address.
  const given = { ...value, from: (value as { from?: unknown }).from ?? {} };
  const parsed = mailRequest.safeParse(given, { reportInput: true });
  const faults = [
    ...(parsed.success ? [] : schemaFaults(parsed.error.issues)),
    ...ruleFaults(value as Record<string, unknown>, now),
  ];
  if (!parsed.success || faults.length > 0) throw new RequestFault(400, faults.slice(0, MAX_FAULTS));
  const attachments = await checkedAttachments(parsed.data, longTexts);
  return { ...parsed.data, attachments, ignored: ignoredMembers(parsed.data) };
}

async function checkedAttachments({ attachments }: MailRequest, longTexts: LongTexts): Promise<Attachment[]> {
  const pieces = (content: string): readonly string[] => longTexts.get(content) ?? [content];
  const faults: Fault[] = [];
  for (const [index, { content }] of (attachments ?? []).entries()) {
    if (await isBase64(pieces(content))) continue;
    faults.push(fault('The attachment content must be base64 encoded.', ['attachments', index, 'content']));
  }
  if (faults.length > 0) throw new RequestFault(400, faults);
  return (attachments ?? []).map(({ content, filename, type, disposition, content_id: contentId }) => ({
    ...{ content: pieces(content), filename: wellFormed(filename), type: usableType(type) },
    disposition: disposition === 'inline' ? 'inline' : 'attachment',
    contentId: contentId ? wellFormed(contentId) : undefined,
  }));
}

/** Many clients send `pdf` for `application/pdf`: what is no MIME type is left to the file name. */
export function usableType(type: string | null | undefined): string | undefined {
  return type && MIME_TYPE.test(type) && !/^(multipart|message)\//i.test(type) && !hasControls(type) ? type : undefined;
}

/** Members that are checked and then not acted on, because what they ask for does not exist here. */
function ignoredMembers(request: MailRequest): string[] {
  const { mail_settings: settings, tracking_settings: tracking } = request;
  const enabled = (tree: object | null | undefined, prefix: string): string[] =>
    Object.entries(tree ?? {}).flatMap(([name, setting]) =>
      name !== 'sandbox_mode' && (setting as { enable?: boolean } | null)?.enable ? [`${prefix}.${name}`] : [],
    );
  return [
    ...(request.template_id ? ['template_id'] : []),
    ...(request.asm ? ['asm'] : []),
    ...(request.ip_pool_name ? ['ip_pool_name'] : []),
    ...(request.personalizations.some(({ dynamic_template_data: data }) => data) ? ['dynamic_template_data'] : []),
    ...enabled(settings, 'mail_settings'),
    ...enabled(tracking, 'tracking_settings'),
  ];
}
