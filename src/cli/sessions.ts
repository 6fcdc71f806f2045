// postern sessions: what was said in the last SMTP sessions of each key, and of each address that failed to log in.
import { isIP } from 'node:net';
import { InvalidArgumentError, type Command } from 'commander';
import { OperatorError } from '../base/fault.js';
import { readCount } from '../keys/restriction-text.js';
import { TranscriptStore } from '../report/transcript-store.js';
import { hasFailed, TranscriptLines, type Transcript } from '../report/transcript.js';
import { answer, configOf } from './context.js';
import { verdictWords } from './explain-walk.js';
import { colour, printable, time, type Output } from './output.js';
import { usable } from './restriction-options.js';
import { withStore } from './store-session.js';

const EXAMPLE = `
SMTP alone: a login over HTTP that was refused is in the log, as 'HTTP request refused' with its verdict.

Example:
  postern sessions list --failed --ip 192.0.2.7
  postern sessions show <id>`;

export function sessionsCommand(program: Command): void {
  const sessions = program
    .command('sessions')
    .description('the last SMTP sessions of keys and of clients that failed to log in: why can this client not log in?')
    .addHelpText('after', EXAMPLE);
  listCommand(sessions);
  showCommand(sessions);
}

function withTranscripts<T>(self: Command, work: (store: TranscriptStore) => Promise<T>): Promise<T> {
  const config = configOf(self);
  return withStore(config, ({ redis }) => work(new TranscriptStore(redis, config.sessions)));
}

function listCommand(sessions: Command): void {
  sessions
    .command('list')
    .description('sessions, newest first; they are written when they end')
    .option('--key <id>', 'only those of this key')
    .option('--ip <address>', 'only those from this client address (IPv6: its /64)', readAddress)
    .option('--failed', 'only those with a login that failed')
    .option('--limit <n>', 'at most so many', usable(readCount), 50)
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLE)
    .action(async (options: { key?: string; ip?: string; failed?: boolean; limit: number }, self: Command) => {
      const { key, ip, failed = false, limit } = options;
      const query = {
        ...(key !== undefined && { keyId: key }),
        ...(ip !== undefined && { address: ip }),
        failed,
        limit,
      };
      const found = await withTranscripts(self, (store) => store.list(query));
      answer(self, { result: found.map(summary) }, (out) => {
        if (found.length === 0) return out.note('no sessions');
        out.table(['id', 'ended', 'client', 'ehlo', 'key', 'login', 'refusals'], found.map(listRow), 4);
      });
    });
}

function readAddress(text: string): string {
  if (!isIP(text)) throw new InvalidArgumentError('expected an address, such as 192.0.2.7');
  return text;
}

function listRow(transcript: Transcript): string[] {
  const { id, endedAt, client, helo, keyId, refusals } = transcript;
  return [id, time(endedAt), client, helo || '-', keyId ?? '-', loginText(transcript), String(refusals)];
}

function loginText({ login, failedLogins }: Transcript): string {
  if (login !== 'valid') return colour('red', login);
  return failedLogins ? colour('yellow', `valid after ${failedLogins} refused`) : colour('green', 'valid');
}

/** All but the lines. */
function summary(transcript: Transcript) {
  const { id, startedAt, endedAt, client, listener, tls, helo, keyId, login, failedLogins, refusals } = transcript;
  return {
    ...{ id, started_at: new Date(startedAt).toISOString(), ended_at: new Date(endedAt).toISOString() },
    ...{ client, listener, tls: tls || null, ehlo: helo || null, api_key_id: keyId ?? null },
    ...{ login, failed: hasFailed(transcript), failed_logins: failedLogins, refusals },
  };
}

function showCommand(sessions: Command): void {
  sessions
    .command('show')
    .description('what was said in one session, without secrets, with the milliseconds since its start')
    .argument('<id>', 'as sessions list shows it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern sessions show <id>')
    .action(async (id: string, _options: object, self: Command) => {
      const found = await withTranscripts(self, (store) => store.find(id));
      if (!found) throw new OperatorError(`no such session: ${id} (postern sessions list shows those that are kept)`);
      const { lines, omitted } = found;
      const reason = verdictWords(found.login) ?? null;
      answer(self, { ...summary(found), reason, lines, omitted_lines: omitted }, (out) => print(out, found));
    });
}

function print(out: Output, transcript: Transcript): void {
  const { id, startedAt, endedAt, client, listener, tls, helo, keyId, lines, omitted } = transcript;
  const words = verdictWords(transcript.login);
  out.line(`id       ${id}`);
  out.line(`time     ${time(startedAt)} to ${time(endedAt)}`);
  out.line(`client   ${client} on ${listener}, ${tls || 'without TLS'}`);
  out.line(`ehlo     ${printable(helo) || '-'}`);
  out.line(`key      ${keyId ?? '-'}`);
  out.line(`login    ${loginText(transcript)}${words ? `: ${words}` : ''}`);
  out.line();
  lines.forEach(({ at, text }, index) => {
    if (omitted > 0 && index === TranscriptLines.FIRST) out.line(`${' '.repeat(9)}[${omitted} lines left out]`);
    out.line(`${String(at).padStart(7)}  ${printable(text)}`);
  });
}
