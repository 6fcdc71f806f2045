// postern keys rotate: a new secret for a key, printed once, while the old one lives on for a time.
import type { Command } from 'commander';
import { systemClock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import { systemRandom } from '../base/ids.js';
import { readDuration } from '../keys/restriction-text.js';
import { rotate } from '../keys/rotate.js';
import { answer, configOf } from './context.js';
import { keyAsJson } from './key-view.js';
import { time } from './output.js';
import { usable } from './restriction-options.js';
import { openEditor, openPepper, withStore } from './store-session.js';

const DAY = 86_400;
const LONGEST = 365 * DAY;

const HELP = `
Id, scopes, restrictions and counters stay. Two secrets of a key live at the same time, never three: rotating again
during an overlap ends the oldest at once. 'keys show' tells who still uses the old one.

Examples:
  postern keys rotate <id>                  move the applications over within a day
  postern keys rotate <id> --overlap 0s     the old secret has leaked: it ends now, in open sessions too`;

export function rotateCommand(keys: Command): void {
  keys
    .command('rotate')
    .description('give a key a new secret and print it, this once; the old one lives on for a time')
    .argument('<id>', 'the key')
    .option('--overlap <duration>', 'how long the old secret lives on, 0s = ends at once', usable(readOverlap), DAY)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (id: string, { overlap }: { overlap: number }, self: Command) => {
      const config = configOf(self);
      const { text, record, endedOlder } = await withStore(config, async (session) => {
        const secrets = { ...config.keys, pepper: await openPepper(config, session.keys) };
        const parts = { clock: systemClock, random: systemRandom };
        return rotate(await openEditor(config, session), secrets, parts, id, overlap);
      });
      answer(self, { api_key: text, ...keyAsJson(record, systemClock.now()) }, (out) => {
        out.line(text);
        out.note(`key ${record.id} (${record.name}) has a new secret. It is not shown again.`);
        out.note(overlap ? `The old one lives until ${time(record.previousUntil)} UTC.` : 'The old one has ended.');
        if (endedOlder) out.note('The one before it, of the last rotation, has ended at once.');
      });
    });
}

function readOverlap(text: string): number {
  const seconds = /^0[smhdw]?$/.test(text) ? 0 : readDuration(text);
  if (seconds > LONGEST) throw new OperatorError(`'${text}' is too long; at most 365d`);
  return seconds;
}
