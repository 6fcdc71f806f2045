// The body of POST /v3/mail/send, each field by itself: its type, its bounds, and SendGrid's words for what is wrong with
// it. Rules between fields are in mail-rules.ts. Unknown members are left out, null is the same as absent.
import * as z from 'zod';
import { readMailbox } from './mailbox.js';
import { hasControls } from './controls.js';

const MAX_ADDRESS = 320;

/** For what SendGrid has and Postern has not. */
const NOT_ACTED_ON = 'Checked and named in the log, but not acted on';

const TO =
  'The to array is required for all personalization objects, and must have at least one email object with a valid email address.';
const FROM =
  'The from object must be provided for every email send. It is an object that requires the email parameter, but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or {"email" : "example@example.com", "name" : "Example Recipient"}.';
const PERSONALIZATIONS = 'The personalizations field is required and must have at least one personalization.';
const SUBJECT = 'The subject of your email must be a string at least one character in length.';
const SEND_AT =
  'The send_at parameter is expecting a Unix timestamp as an integer. We will send immediately if you include a send_at timestamp that is in the past.';
const CONTENT_VALUE = 'The content value must be a string at least one character in length.';
const CONTENT_TYPE = "Cannot contain ';', or CRLF characters.";
/** RFC 2046 5: what has parts of its own. */
const COMPOSITE = /^(multipart|message)\//i;
const ATTACHMENT = 'The attachment content must be base64 encoded.';
const FILENAME = 'The filename of your attachment cannot contain CRLF characters.';
const CONTENT_ID = 'The content ID of your attachment cannot contain CRLF characters.';

/** The words for a value that is absent; every other wrong type gets the usual ones. */
const ifAbsent = (message: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined || input === null ? message : undefined),
});

const always = (message: string) => ({ error: message });

const clean = (message: string) => z.string().refine((text) => !hasControls(text), message);

const mailbox = (missing: string, invalid: string) =>
  z.object(
    {
      email: z.string(ifAbsent(missing)).superRefine((email, context) => {
        const tooLong = email.length > MAX_ADDRESS;
        if (!tooLong && readMailbox(email)) return;
        const shown = `${email.slice(0, 40)}...`;
        const message = tooLong
          ? `<${shown}> email exceeds the maximum total length of ${MAX_ADDRESS} characters`
          : invalid;
        context.addIssue({ code: 'custom', message });
      }),
      name: z.string().nullish(),
    },
    ifAbsent(missing),
  );

const recipient = (role: string) =>
  mailbox(`The ${role} email parameter is required.`, 'Does not contain a valid address.');
const sender = mailbox(FROM, 'The from email does not contain a valid address.');
const replyTo = mailbox(
  'The reply_to email parameter is required.',
  'The reply_to email does not contain a valid address.',
);

/** How many there may be is a rule for all of a request. */
const recipients = (role: string) => z.array(recipient(role));

const strings = (message: string) => z.record(z.string(), z.string(always(message)));
const headers = strings('All values of the headers object must be strings.').nullish();
const customArgs = strings('All values of custom arguments object must be strings').nullish();
const subject = z.string(always(SUBJECT)).min(1, SUBJECT).nullish();
const sendAt = z.int(always(SEND_AT)).nullish();

const personalization = z.object({
  to: z.array(recipient('to'), ifAbsent(TO)).min(1, TO),
  cc: recipients('cc').nullish(),
  bcc: recipients('bcc').nullish(),
  from: sender.nullish(),
  subject,
  headers,
  substitutions: strings('All values of the substitutions object must be strings.').nullish(),
  dynamic_template_data: z.record(z.string(), z.unknown()).nullish().describe(NOT_ACTED_ON),
  custom_args: customArgs,
  send_at: sendAt,
});

const content = z.object({
  type: z
    .string(ifAbsent('The content type must be a string at least one character in length.'))
    .min(1, 'The content type must be a string at least one character in length.')
    .refine((type) => type === '' || (/^[^\s;,/]+\/[^\s;,/]+$/.test(type) && !hasControls(type)), CONTENT_TYPE)
    .refine((type) => !COMPOSITE.test(type), 'The content type cannot be multipart or message: a value is one part.'),
  value: z.string(always(CONTENT_VALUE)).min(1, CONTENT_VALUE),
});

const attachment = z.object({
  /** Whether it is base64 is looked at later, in pieces: it may be long. */
  content: z.string(always(ATTACHMENT)).min(1, ATTACHMENT),
  filename: z
    .string(ifAbsent('filename is required.'))
    .min(1, 'filename is required.')
    .refine((name) => !hasControls(name), FILENAME),
  type: z
    .string()
    .refine((type) => !/[;,]/.test(type) && !hasControls(type), "The type cannot contain ';', or CRLF characters.")
    .nullish(),
  disposition: z
    .string()
    .refine((name) => name === '' || name === 'inline' || name === 'attachment', {
      error: ({ input }) =>
        `The disposition of your attachment can be either "inline" or "attachment". You provided [${String(input).slice(0, 100)}].`,
    })
    .nullish(),
  content_id: clean(CONTENT_ID).nullish(),
});

const enabled = z.object({ enable: z.boolean().nullish() }).nullish();
const text = z.string().nullish();

const mailSettings = z.object({
  bypass_list_management: enabled,
  bypass_spam_management: enabled,
  bypass_bounce_management: enabled,
  bypass_unsubscribe_management: enabled,
  footer: z.object({ enable: z.boolean().nullish(), text, html: text }).nullish(),
  sandbox_mode: z
    .object({ enable: z.boolean(always('The sandbox mode enable param should be a boolean value.')).nullish() })
    .nullish(),
  bcc: z.object({ enable: z.boolean().nullish(), email: text }).nullish(),
  spam_check: z.object({ enable: z.boolean().nullish(), threshold: z.int().nullish(), post_to_url: text }).nullish(),
});

const trackingSettings = z.object({
  click_tracking: z.object({ enable: z.boolean().nullish(), enable_text: z.boolean().nullish() }).nullish(),
  open_tracking: z.object({ enable: z.boolean().nullish(), substitution_tag: text }).nullish(),
  subscription_tracking: z
    .object({ enable: z.boolean().nullish(), text, html: text, substitution_tag: text })
    .nullish(),
  ganalytics: z
    .object({
      enable: z.boolean().nullish(),
      ...{ utm_source: text, utm_medium: text, utm_term: text, utm_content: text, utm_campaign: text },
    })
    .nullish(),
});

const GROUP = 'The ASM group ID must be an integer.';
const asm = z.object({
  group_id: z.int(always(GROUP)),
  groups_to_display: z
    .array(z.int(always(GROUP)))
    .max(25, 'There is a limit of 25 unsubscribe groups that can be displayed to a user at a time.')
    .nullish(),
});

export const mailRequest = z.object({
  personalizations: z
    .array(personalization, ifAbsent(PERSONALIZATIONS))
    .min(1, PERSONALIZATIONS)
    .max(1000, {
      error: ({ input }) =>
        `The personalization block is limited to 1000 personalizations per API request. You have provided ${(input as unknown[]).length} personalizations. Please consider splitting this into multiple requests and resending your request.`,
    }),
  from: sender,
  reply_to: replyTo.nullish(),
  reply_to_list: z.array(replyTo).max(1000, 'The reply_to_list is limited to 1000 addresses.').nullish(),
  subject,
  content: z.array(content).nullish(),
  attachments: z.array(attachment).nullish(),
  template_id: z
    .string()
    .nullish()
    .describe(
      `${NOT_ACTED_ON}: there are no templates, and mail that has no subject or content without one is refused`,
    ),
  headers,
  sections: strings('All values of the sections object must be strings.').nullish(),
  categories: z.array(z.string()).nullish(),
  custom_args: customArgs,
  send_at: sendAt,
  batch_id: z.string(always('The batch_id must be a string.')).nullish(),
  asm: asm.nullish().describe(NOT_ACTED_ON),
  ip_pool_name: z
    .string()
    .refine((name) => name === '' || (name.length >= 2 && name.length <= 64), {
      error: ({ input }) =>
        `The IP Pool name must be a valid pool name for your account. You provided [${String(input).slice(0, 100)}].`,
    })
    .nullish()
    .describe(NOT_ACTED_ON),
  mail_settings: mailSettings.nullish().describe(`sandbox_mode; the others: ${NOT_ACTED_ON}`),
  tracking_settings: trackingSettings.nullish().describe(NOT_ACTED_ON),
});

export type MailRequest = z.infer<typeof mailRequest>;
export type Personalization = MailRequest['personalizations'][number];
export type RequestMailbox = Personalization['to'][number];
