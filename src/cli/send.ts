// postern send: a test mail through the running server, by SMTP, as any client would.
import type { Command } from 'commander';
import { messageOf, OperatorError } from '../base/fault.js';
import { apiKeyOf, processEnv, type Config } from '../config.js';
import { answer, configOf } from './context.js';

interface SendOptions {
  to: string;
  from?: string;
  subject: string;
}

const ANY_ADDRESS = new Set(['0.0.0.0', '::']);

export function sendCommand(program: Command): void {
  program
    .command('send')
    .description('send a test mail through the running server; the key is read from POSTERN_API_KEY')
    .requiredOption('--to <address>', 'recipient')
    .option('--from <address>', 'sender (default: the recipient)')
    .option('--subject <text>', 'subject', 'Test mail from Postern')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  POSTERN_API_KEY=... postern send --to you@example.com')
    .action(async (options: SendOptions, self: Command) => {
      const config = configOf(self);
      const key = apiKeyOf(processEnv());
      if (!key) throw new OperatorError('set POSTERN_API_KEY to the key to send with');
      const response = await send(config, key, options);
      const id = /queued as (\S+)/.exec(response)?.[1] ?? null;
      answer(self, { id, response }, (out) => out.line(response));
    });
}

async function send({ host, smtp }: Config, key: string, { to, from = to, subject }: SendOptions): Promise<string> {
  const port = smtp.port === 'off' ? smtp.securePort : smtp.port;
  if (typeof port !== 'number' || port === 0) throw new OperatorError('smtp.port: no fixed port is set to send to');
  const address = ANY_ADDRESS.has(host) ? '127.0.0.1' : host;
  // Loaded here only: no other command has a use for it.
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    ...{ host: address, port, secure: smtp.port === 'off', auth: { user: 'apikey', pass: key } },
    // Our own server, whose certificate may be one of its own making.
    tls: { rejectUnauthorized: false },
    requireTLS: true,
  });
  try {
    const text = 'This is a test mail from Postern. It has arrived where you read it.\n';
    return (await transport.sendMail({ from, to, subject, text })).response;
  } catch (error) {
    throw new OperatorError(`not sent: ${messageOf(error)}`);
  } finally {
    transport.close();
  }
}
