// A message as a person wants to see it: decoded header fields, text, the names of attachments. The one place where
// MIME is parsed, by mailparser, with limits.
import type { ParsedMail } from 'mailparser';

export interface Preview {
  headers: [name: string, value: string][];
  text: string;
  attachments: { filename: string; type: string; size: number }[];
}

const MAX_BYTES = 5_000_000;
const MAX_TEXT = 20_000;

export async function previewOf(octets: Buffer): Promise<Preview> {
  // Loaded here only: `serve` has no use for it.
  const { simpleParser } = await import('mailparser');
  const mail = await simpleParser(octets.subarray(0, MAX_BYTES), {
    ...{ skipTextToHtml: true, skipImageLinks: true, maxHtmlLengthToParse: 500_000 },
  });
  return {
    headers: mail.headerLines.map(({ line }) => splitField(line)),
    text: (mail.text ?? '').slice(0, MAX_TEXT),
    attachments: mail.attachments.map(describe),
  };
}

function splitField(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [
    line.slice(0, colon),
    line
      .slice(colon + 1)
      .replace(/\r?\n[ \t]*/g, ' ')
      .trim(),
  ];
}

function describe(attachment: ParsedMail['attachments'][number]): Preview['attachments'][number] {
  return { filename: attachment.filename ?? '(no name)', type: attachment.contentType, size: attachment.size };
}
