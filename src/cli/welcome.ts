// What a first start prints: a key and lines to paste. The key is shown here once and stored nowhere.
import type { Config } from '../config.js';
import type { Output } from './output.js';

/** How to send a first mail. */
export function printWelcome(out: Output, addresses: { smtp?: string; smtps?: string }, key: string): void {
  const smtp = addresses.smtp ?? addresses.smtps ?? '';
  const tls = addresses.smtp ? '--tls' : '--tls-on-connect';
  const url = addresses.smtp ? `smtp://${smtp} --ssl-reqd` : `smtps://${smtp}`;
  const lines = [
    'This is your first API key. It is shown this once; the user name is always apikey.',
    '',
    `    ${key}`,
    '',
    'Send a first mail:',
    '',
    `    swaks --server ${smtp} ${tls} --auth LOGIN --auth-user apikey --auth-password '${key}' \\`,
    '      --from app@example.com --to you@example.com',
    '',
    "    printf 'From: app@example.com\\r\\nTo: you@example.com\\r\\nSubject: Hello\\r\\n\\r\\nIt works.\\r\\n' |",
    `      curl ${url} --insecure --user 'apikey:${key}' \\`,
    '        --mail-from app@example.com --mail-rcpt you@example.com --upload-file -',
    '',
    'Look at it:  bin/postern messages list      More keys:  bin/postern keys create --name NAME',
    '',
  ];
  lines.forEach((line) => out.line(line));
}

/** What happens to accepted mail, in one line. */
export function destinationLine(config: Config): string {
  if (!config.relay.url) return 'no relay.url is set: mail is captured and kept for you to look at, and sent nowhere';
  const hosts = config.relay.url.map((url) => new URL(url).host);
  return `mail is relayed to ${hosts.join(', then ')}`;
}
