// postern config: whether the configuration is right, and what it comes to.
import type { Command } from 'commander';
import { checkCertificates } from '../base/certificate-set.js';
import { systemClock } from '../base/clock.js';
import { envName, maskedSettings } from '../config.js';
import { answer, configOf } from './context.js';
import { standardOutput } from './output.js';

export function configCommand(program: Command): void {
  const config = program
    .command('config')
    .description('the configuration')
    .addHelpText('after', '\nExample:\n  postern config print');
  config
    .command('check')
    .description('say whether the configuration is usable, certificates included, with every problem in it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern --config postern.yml config check')
    .action((_options: object, self: Command) => {
      const { tls } = configOf(self);
      for (const remark of checkCertificates(tls, systemClock.now())) standardOutput.note(`warning: ${remark}`);
      answer(self, { ok: true }, (out) => out.line('the configuration is usable'));
    });
  config
    .command('print')
    .description('print every setting in force, secrets masked')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern config print')
    .action((_options: object, self: Command) => {
      const settings = maskedSettings(configOf(self));
      answer(self, Object.fromEntries(settings), (out) =>
        out.table(
          ['setting', 'environment', 'value'],
          settings.map(([path, value]) => [path, envName(path), JSON.stringify(value)]),
        ),
      );
    });
}
