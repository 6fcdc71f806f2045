// postern guard: which clients are blocked for failed logins, and a way to forget their failures.
import { InvalidArgumentError, type Command } from 'commander';
import { FailureCount } from '../authenticate/failure-count.js';
import { clientNetworks, type ClientNetworks } from '../base/address.js';
import { systemClock } from '../base/clock.js';
import { answer, configOf } from './context.js';
import { time } from './output.js';
import { withStore } from './store-session.js';

export function guardCommand(program: Command): void {
  const guard = program.command('guard').description('clients whose guesses at keys are blocked');
  guard
    .command('list')
    .description('clients and networks that are blocked now; good keys log in from there all the same')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern guard list')
    .action(async (_options: object, self: Command) => {
      const blocks = await withCount(self, (count) => count.blocks(systemClock.now()));
      const result = blocks.map(({ client, blockedUntil }) => ({
        client,
        blocked_until: new Date(blockedUntil).toISOString(),
      }));
      answer(self, { result }, (out) => {
        if (blocks.length === 0) return out.note('nobody is blocked');
        out.table(
          ['client', 'blocked until'],
          blocks.map(({ client, blockedUntil }) => [client, time(blockedUntil)]),
        );
      });
    });
  guard
    .command('clear')
    .description('forget the failed logins of an address and of its network; heard within five seconds')
    .argument('<address>', 'an address, or what list shows', readClient)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern guard clear 192.0.2.7')
    .action(async (client: ClientNetworks, _options: object, self: Command) => {
      const cleared = await withCount(self, (count) => count.clear(client));
      answer(self, { ...client, cleared }, (out) => {
        out.line(cleared ? `forgotten: ${client.address} and ${client.network}` : 'there were no failed logins');
      });
    });
}

function readClient(text: string): ClientNetworks {
  const client = clientNetworks(text);
  if (client.address === 'unknown') throw new InvalidArgumentError('expected an address, such as 192.0.2.7');
  return client;
}

function withCount<T>(self: Command, work: (count: FailureCount) => Promise<T>): Promise<T> {
  const config = configOf(self);
  return withStore(config, ({ redis }) => work(new FailureCount(redis, config.auth)));
}
