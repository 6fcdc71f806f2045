// postern audit: who did what to which key, and whether the log of it is whole.
import type { Command } from 'commander';
import type { AuditEntry } from '../keys/audit-chain.js';
import type { AuditReport } from '../keys/audit.js';
import { readCount } from '../keys/restriction-text.js';
import { answer, configOf } from './context.js';
import { time } from './output.js';
import { usable } from './restriction-options.js';
import { openAudit, withStore } from './store-session.js';

export function auditCommand(program: Command): void {
  const audit = program.command('audit').description('what was done to keys, by whom and when');
  listCommand(audit);
  verifyCommand(audit);
}

function listCommand(audit: Command): void {
  audit
    .command('list')
    .description('the newest entries, newest first')
    .option('--key <id>', 'only what concerns this key')
    .option('--limit <n>', 'at most so many', usable(readCount), 50)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern audit list --key <id> --json')
    .action(async ({ key, limit }: { key?: string; limit: number }, self: Command) => {
      const config = configOf(self);
      const entries = await withStore(config, async (session) => (await openAudit(config, session)).list(limit, key));
      answer(self, { result: entries.map(entryAsJson) }, (out) => {
        if (entries.length === 0) return out.note('no entries');
        out.table(
          ['no', 'time', 'action', 'key', 'actor', 'what'],
          entries.map((entry) => [
            ...[String(entry.seq), time(entry.at), entry.action, entry.key ?? '-', entry.actor],
            detailsText(entry),
          ]),
        );
      });
    });
}

const entryAsJson = ({ seq, at, actor, action, key, details }: AuditEntry) => ({
  ...{ seq, at: new Date(at).toISOString(), actor, action, api_key_id: key ?? null, details },
});

/** `name: "a" -> "b", restrictions.rate: null -> {...}`, and other members as they are. */
function detailsText({ details: { changes, ...rest } }: AuditEntry): string {
  const changed = Object.entries((changes ?? {}) as Record<string, { from: unknown; to: unknown }>);
  return [
    ...changed.map(([name, { from, to }]) => `${name}: ${JSON.stringify(from)} -> ${JSON.stringify(to)}`),
    ...Object.entries(rest).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
  ].join(', ');
}

const VERIFY_HELP = `
Exit code 1 and the first bad entry when an entry was changed, put in or taken out. Entries that were cut off at the
end by somebody who also set the head back cannot be told from the inside: compare the number and hash of the last
entry with those that an earlier call printed.

Example:
  postern audit verify`;

function verifyCommand(audit: Command): void {
  audit
    .command('verify')
    .description('check the whole log: that every entry is there, unchanged, in its place')
    .option('--json', 'print JSON')
    .addHelpText('after', VERIFY_HELP)
    .action(async (_options: object, self: Command) => {
      const config = configOf(self);
      const report = await withStore(config, async (session) => (await openAudit(config, session)).verify());
      if (report.broken) process.exitCode = 1;
      answer(self, reportAsJson(report), (out) => out.line(reportText(report)));
    });
}

const reportAsJson = ({ entries, head, broken }: AuditReport) => ({
  ...{ ok: !broken, entries, first: head.first, last: head.seq, last_hash: head.hash },
  ...(broken && { bad_entry: broken.seq, problem: broken.problem }),
});

function reportText({ entries, head, broken }: AuditReport): string {
  if (broken) return `entry ${broken.seq} ${broken.problem}; ${entries} before it are whole`;
  if (entries === 0) return 'the audit log is empty';
  return `the audit log is whole: entries ${head.first} to ${head.seq}, the last with hash ${head.hash}`;
}
