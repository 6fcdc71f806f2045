// postern messages: the queue and the recent past.
import { Option, type Command } from 'commander';
import { systemClock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import type { StoredMessage } from '../message/stored-message.js';
import {
  describeMessage,
  lastWords,
  messageStatuses,
  recipientState,
  statusOf,
  timelineOf,
  type MessageStatus,
} from '../report/history.js';
import { findMessages } from '../report/search.js';
import { RedisDesk } from '../spool/redis-desk.js';
import type { CancelOutcome, RetryOutcome, SpoolDesk } from '../spool/spool.js';
import { answer, configOf } from './context.js';
import { colour, printable, time, type Output } from './output.js';
import { previewOf } from './preview.js';
import { readCount } from '../keys/restriction-text.js';
import { usable } from './restriction-options.js';
import { withStore } from './store-session.js';

export function messagesCommand(program: Command): void {
  const messages = program
    .command('messages')
    .description('the queue and the recent past')
    .addHelpText('after', '\nExample:\n  postern messages list --status deferred');
  listCommand(messages);
  showCommand(messages);
  retryCommand(messages);
  cancelCommand(messages);
}

function withDesk<T>(self: Command, work: (desk: SpoolDesk) => Promise<T>): Promise<T> {
  const config = configOf(self);
  return withStore(config, ({ redis }) => work(new RedisDesk(redis, config.spool)));
}

function listCommand(messages: Command): void {
  messages
    .command('list')
    .description('messages, newest first')
    .addOption(new Option('--status <status>', 'only these').choices(messageStatuses))
    .option('--limit <n>', 'at most so many', usable(readCount), 50)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern messages list --status deferred')
    .action(async (options: { status?: MessageStatus; limit: number }, self: Command) => {
      const { messages: found } = await withDesk(self, (desk) => findMessages(desk, options));
      answer(self, { result: found.map(describeMessage) }, (out) => {
        if (found.length === 0) return out.note('no messages');
        out.table(['id', 'accepted', 'status', 'from', 'to', 'last words'], found.map(listRow), 3);
      });
    });
}

function listRow(message: StoredMessage): string[] {
  const { id, acceptedAt, envelope } = message.record;
  const more = envelope.to.length > 1 ? ` +${envelope.to.length - 1}` : '';
  return [
    id,
    time(acceptedAt),
    statusText(message),
    envelope.from || '<>',
    (envelope.to[0] ?? '') + more,
    lastWords(message),
  ];
}

function statusText(message: StoredMessage): string {
  const status = statusOf(message);
  const good = ['delivered', 'captured'].includes(status);
  const waiting = ['scheduled', 'paused', 'queued', 'deferred'].includes(status);
  return colour(good ? 'green' : waiting ? 'yellow' : 'red', status);
}

function showCommand(messages: Command): void {
  messages
    .command('show')
    .description('one message: its recipients, its history and, while it is kept, its text')
    .argument('<id>', 'the queue id')
    .option('--raw', 'print the octets of the message and nothing else')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern messages show <id> --raw > message.eml')
    .action(async (id: string, options: { raw?: boolean }, self: Command) => {
      const { message, body } = await withDesk(self, async (desk) => ({
        message: await desk.find(id),
        body: await desk.body(id),
      }));
      if (!message) throw new OperatorError(`no such message: ${id}`);
      if (options.raw) return printRaw(id, body);
      const preview = body && (await previewOf(body));
      answer(self, { ...describeMessage(message), has_body: message.hasBody, ...(preview && { preview }) }, (out) => {
        printMessage(out, message);
        if (preview) printPreview(out, preview);
      });
    });
}

function printRaw(id: string, body: Buffer | undefined): void {
  if (!body) throw new OperatorError(`the octets of ${id} are not kept any more`);
  process.stdout.write(body);
}

function printMessage(out: Output, message: StoredMessage): void {
  const { record } = message;
  out.line(`id        ${record.id}`);
  out.line(`status    ${statusText(message)}`);
  out.line(`accepted  ${time(record.acceptedAt)} from ${record.clientAddress} with key ${record.keyId}`);
  if (message.retryAt) out.line(`next try  ${time(message.retryAt)}`);
  if (message.damage) out.line(`damage    ${printable(message.damage)}`);
  out.line(`sender    ${printable(record.envelope.from) || '<>'}`);
  record.envelope.to.forEach((address, index) => {
    const { attempts, reply, inDoubt } = message.recipients[index]!;
    const doubt = inDoubt ? ', in doubt' : '';
    const tries = attempts ? ` after ${attempts} attempt${attempts > 1 ? 's' : ''}${doubt}` : '';
    out.line(
      `to        ${printable(address)}: ${recipientState(message, index)}${tries}${reply ? `: ${printable(reply)}` : ''}`,
    );
  });
  for (const { at, type, reply, hop } of timelineOf(message)) {
    out.line(`${time(at)}  ${type}${hop ? ` by ${hop}` : ''}${reply ? `: ${printable(reply)}` : ''}`);
  }
}

function printPreview(out: Output, preview: Awaited<ReturnType<typeof previewOf>>): void {
  out.line();
  for (const [name, value] of preview.headers) out.line(`${printable(name)}: ${printable(value)}`);
  out.line();
  preview.text.split('\n').forEach((line) => out.line(printable(line)));
  for (const { filename, type, size } of preview.attachments)
    out.line(`[attachment ${printable(filename)}, ${type}, ${size} bytes]`);
}

const RETRY_FAULTS: Record<RetryOutcome, string | undefined> = {
  queued: undefined,
  'already-queued': 'it is in the queue already',
  'under-way': 'it is being sent at this moment',
  'no-body': 'it has ended and its octets are not kept any more',
  'not-found': 'no such message',
};

function retryCommand(messages: Command): void {
  messages
    .command('retry')
    .description('try a deferred, captured or set-aside message now')
    .argument('<id>', 'the queue id')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern messages retry <id>')
    .action(async (id: string, _options: object, self: Command) => {
      const outcome = await withDesk(self, (desk) => desk.retry(id, systemClock.now()));
      const fault = RETRY_FAULTS[outcome];
      answer(self, { id, outcome }, (out) => (fault ? undefined : out.line(`queued ${id}`)));
      if (fault) throw new OperatorError(`${id}: ${fault}`);
    });
}

const CANCEL_WORDS: Record<CancelOutcome, { done: boolean; text: string }> = {
  cancelled: { done: true, text: 'cancelled' },
  'after-attempt': { done: true, text: 'is being sent at this moment; it is not tried again after this attempt' },
  ended: { done: false, text: 'has ended already' },
  'not-found': { done: false, text: 'no such message' },
};

function cancelCommand(messages: Command): void {
  messages
    .command('cancel')
    .description('take a message out of the queue')
    .argument('<id>', 'the queue id')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern messages cancel <id>')
    .action(async (id: string, _options: object, self: Command) => {
      const outcome = await withDesk(self, (desk) => desk.cancel(id, systemClock.now()));
      const { done, text } = CANCEL_WORDS[outcome];
      answer(self, { id, outcome }, (out) => (done ? out.line(`${id} ${text}`) : undefined));
      if (!done) throw new OperatorError(`${id}: ${text}`);
    });
}
