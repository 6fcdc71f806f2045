// postern keys: mint, look at, change and revoke keys. The key itself is printed once, by `create`.
import { Option, type Command } from 'commander';
import { systemClock } from '../base/clock.js';
import { OperatorError } from '../base/fault.js';
import { systemRandom } from '../base/ids.js';
import type { KeyChange, KeyEditor } from '../keys/editor.js';
import { checkName, checkScopes, mint } from '../keys/mint.js';
import type { Restrictions } from '../keys/policy.js';
import type { KeyRecord } from '../keys/record.js';
import type { KeyStore } from '../keys/store.js';
import { secretMark } from '../keys/verify.js';
import { answer, configOf } from './context.js';
import { keyAsJson, restrictionsText, rotationText, scopesText, stateText, type OldSecretUse } from './key-view.js';
import { rotateCommand } from './keys-rotate.js';
import { verifyCommand } from './keys-verify.js';
import { day, time } from './output.js';
import { addRestrictionOptions, collect, restrictionsOf, type RestrictionOptions } from './restriction-options.js';
import { openEditor, openPepper, withStore } from './store-session.js';

type ScopeOptions = { name?: string; scope?: string[] };

export function keysCommand(program: Command): void {
  const keys = program
    .command('keys')
    .description('API keys')
    .addHelpText('after', '\nExample:\n  postern keys create --name billing');
  createCommand(keys);
  listCommand(keys);
  showCommand(keys);
  updateCommand(keys);
  rotateCommand(keys);
  revokeCommand(keys);
  verifyCommand(keys);
}

const readScope = (text: string): string => checkScopes([text])[0]!;

function createCommand(keys: Command): void {
  const command = keys
    .command('create')
    .description('mint a key and print it, this once')
    .requiredOption('--name <name>', 'what the key is for')
    .option('--scope <scope>', 'what the key may do (repeatable); none = full access', collect(readScope))
    .option('--json', 'print JSON');
  addRestrictionOptions(command)
    .addHelpText(
      'after',
      '\nExample:\n  postern keys create --name billing --scope mail.send --from example.com --rate 100/1m',
    )
    .action(async (options: ScopeOptions & RestrictionOptions, self: Command) => {
      const config = configOf(self);
      const now = systemClock.now();
      const request = {
        name: options.name!,
        ...(options.scope && { scopes: options.scope }),
        restrictions: restrictionsOf(options, now),
      };
      const { text, record } = await withStore(config, async (session) => {
        const secrets = { ...config.keys, pepper: await openPepper(config, session.keys) };
        return mint(await openEditor(config, session), secrets, { clock: systemClock, random: systemRandom }, request);
      });
      answer(self, { api_key: text, ...keyAsJson(record, now) }, (out) => {
        out.line(text);
        out.note(`key ${record.id} (${record.name}), ${scopesText(record)}. It is not shown again.`);
      });
    });
}

function listCommand(keys: Command): void {
  keys
    .command('list')
    .description('all keys, newest first')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern keys list --json')
    .action(async (_options: object, self: Command) => {
      const records = await withStore(configOf(self), ({ keys: store }) => store.list());
      const now = systemClock.now();
      answer(self, { result: records.map((record) => keyAsJson(record, now)) }, (out) => {
        if (records.length === 0) return out.note('no keys yet; make one with: postern keys create --name <name>');
        out.table(
          ['id', 'state', 'created', 'last used', 'scopes', 'name'],
          records.map((record) => listRow(record, now)),
          2,
        );
      });
    });
}

function listRow(record: KeyRecord, now: number): string[] {
  const scopes = scopesText(record);
  const short = scopes.length > 30 ? `${record.scopes.length} scopes` : scopes;
  return [record.id, stateText(record, now), day(record.createdAt), time(record.lastUsedAt), short, record.name];
}

function showCommand(keys: Command): void {
  keys
    .command('show')
    .description('one key')
    .argument('<id>', 'the 22 characters between the dots of the key')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern keys show <id>')
    .action(async (id: string, _options: object, self: Command) => {
      const { record, users } = await withStore(configOf(self), async ({ keys: store }) => {
        const record = await find(store, id);
        return { record, users: await store.oldUsers(id, secretMark(record.previousHash)) };
      });
      printKey(self, record, users);
    });
}

function printKey(self: Command, record: KeyRecord, oldUsers: OldSecretUse[] = []): void {
  const now = systemClock.now();
  answer(self, keyAsJson(record, now, oldUsers), (out) => {
    const from = record.lastUsedFrom ? ` from ${record.lastUsedFrom}` : '';
    const facts = [
      ...[`id          ${record.id}`, `name        ${record.name}`, `state       ${stateText(record, now)}`],
      ...[`scopes      ${scopesText(record)}`],
      ...restrictionsText(record.restrictions).map((line) => `restricted  ${line}`),
      ...[`created     ${time(record.createdAt)}`, `last used   ${time(record.lastUsedAt)}${from}`],
      ...(record.revokedAt ? [`revoked     ${time(record.revokedAt)}`] : []),
      ...rotationText(record, oldUsers, now),
    ];
    facts.forEach((line) => out.line(line));
  });
}

const LIFTABLE: Record<string, keyof Restrictions> = {
  ...{ from: 'from', to: 'to', ip: 'ips', expires: 'expires_at', rate: 'rate', quota: 'quota' },
  ...{ 'max-bytes': 'max_bytes', 'max-recipients': 'max_recipients', 'require-tls': 'require_tls' },
};

function readLiftable(text: string): string {
  if (!Object.hasOwn(LIFTABLE, text))
    throw new OperatorError(`'${text}' is not one of ${Object.keys(LIFTABLE).join(', ')}`);
  return text;
}

interface UpdateOptions extends ScopeOptions, RestrictionOptions {
  lift?: string[];
}

function updateCommand(keys: Command): void {
  const command = keys
    .command('update')
    .description('change a key; what is not named stays as it is')
    .argument('<id>', 'the key')
    .option('--name <name>', 'a new name')
    .option('--scope <scope>', 'the new set of scopes (repeatable)', collect(readScope))
    .addOption(
      new Option(
        '--lift <restriction>',
        `remove a restriction (repeatable): ${Object.keys(LIFTABLE).join(', ')}`,
      ).argParser(collect(readLiftable)),
    )
    .option('--json', 'print JSON');
  addRestrictionOptions(command)
    .addHelpText('after', '\nExample:\n  postern keys update <id> --scope mail.send --lift rate --max-recipients 10')
    .action(async (id: string, options: UpdateOptions, self: Command) => {
      const config = configOf(self);
      const record = await withStore(config, async (session) => {
        const editor = await openEditor(config, session);
        return editor.update(id, (before) => changeOf(before, options));
      });
      if (!record) throw new OperatorError(`no such key: ${id}`);
      printKey(self, record);
    });
}

function changeOf(before: KeyRecord, options: UpdateOptions): KeyChange {
  const restrictions = { ...before.restrictions, ...restrictionsOf(options, systemClock.now()) };
  for (const name of options.lift ?? []) delete restrictions[LIFTABLE[name]!];
  return {
    ...(options.name !== undefined && { name: checkName(options.name) }),
    ...(options.scope && { scopes: checkScopes(options.scope) }),
    restrictions,
  };
}

function revokeCommand(keys: Command): void {
  keys
    .command('revoke')
    .description('end keys for good; open sessions end with them')
    .argument('<id...>', 'the keys')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  postern keys revoke <id> <id>')
    .action(async (ids: string[], _options: object, self: Command) => {
      const config = configOf(self);
      const missing = await withStore(config, async (session) => {
        const editor = await openEditor(config, session);
        const revokedAt = systemClock.now();
        const found = await Promise.all(ids.map((id) => revokeOne(editor, id, revokedAt)));
        return ids.filter((_id, at) => !found[at]);
      });
      const revoked = ids.filter((id) => !missing.includes(id));
      answer(self, { revoked, not_found: missing }, (out) => revoked.forEach((id) => out.line(`revoked ${id}`)));
      if (missing.length) throw new OperatorError(`no such key: ${missing.join(', ')}`);
    });
}

/** A key that was revoked before keeps the time of its end. */
async function revokeOne(editor: KeyEditor, id: string, revokedAt: number): Promise<boolean> {
  return (await editor.update(id, (before) => (before.revokedAt ? {} : { revokedAt }))) !== undefined;
}

async function find(store: KeyStore, id: string): Promise<KeyRecord> {
  const record = await store.find(id);
  if (!record) throw new OperatorError(`no such key: ${id}`);
  return record;
}
