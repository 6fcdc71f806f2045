// Random and mutated dialogues against a worker: no crash, no hang, no leak, and no 250 that is not earned.
// FUZZ_SECONDS says how long (4 without it), FUZZ_SEED where to begin (`random` for somewhere else); a failure names the seed of
// its dialogue, and FUZZ_SEED with that number and FUZZ_SECONDS=0 has it again. An exception that nobody catches fails the test by itself.
import { Budget } from '../../src/accept/budget.js';
import { until } from '../support/until.js';
import { startTestWorker, submit, type TestWorker } from '../support/worker.js';
import { Chance } from './chance.js';
import { converse } from './converse.js';
import { isStored, Oracle, type Accepted } from './oracle.js';
import { makePlan, type Plan } from './plan.js';

const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 4);
const { FUZZ_SEED = '20261125' } = process.env;
const SEED = FUZZ_SEED === 'random' ? Date.now() % 1_000_000_000 : Number(FUZZ_SEED);
const AT_ONCE = 8;
const LOG_ERROR = 50;

const LOOSE = {
  ...{ POSTERN_SMTP_MAX_ERRORS: '1000', POSTERN_SMTP_MAX_AUTH_FAILURES: '1000', POSTERN_SMTP_MAX_COMMANDS: '10000' },
  ...{ POSTERN_AUTH_MAX_FAILURES_PER_ADDRESS: '1000000', POSTERN_AUTH_MAX_FAILURES_PER_NETWORK: '1000000' },
  POSTERN_AUTH_MAX_DELAY_SECONDS: '0',
};

let worker: TestWorker;
let key: string;
let budget: Budget;

beforeAll(async () => {
  worker = await startTestWorker({ env: LOOSE, roles: ['accept'] });
  key = (await worker.mint()).key;
  budget = await budgetInUse();
});
afterAll(() => worker.stop());

/** The budget of the worker, which is deep inside: the first message shows it. */
async function budgetInUse(): Promise<Budget> {
  const move = jest.spyOn(Budget.prototype, 'move');
  const dialogue = await worker.logIn(key);
  await submit(dialogue, 'Subject: first\r\n\r\n');
  await dialogue.close();
  const [used] = move.mock.contexts as Budget[];
  move.mockRestore();
  return used!;
}

/** @returns how many messages were accepted. */
async function fuzz(seed: number): Promise<number> {
  const plan = makePlan(new Chance(seed), key);
  const oracle = new Oracle(key);
  try {
    const { clear, secure } = await converse(worker.port, plan);
    if (plan.waits) expect(clear[0] ?? '').toMatch(/^220 postern\.test ESMTP/);
    oracle.read(plan.octets, clear.slice(clear[0]?.startsWith('220 ') ? 1 : 0));
    oracle.read(plan.secure ?? '', secure);
    for (const accepted of oracle.accepted) await checkStored(accepted);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${shown(plan)}`, { cause: error });
  }
  return oracle.accepted.length;
}

async function checkStored(accepted: Accepted): Promise<void> {
  const body = await worker.desk.body(accepted.id);
  if (!body) throw new Error(`${accepted.id} was accepted and is not in the spool`);
  const stored = body.toString('latin1');
  if (!isStored(stored, accepted)) {
    throw new Error(
      `${JSON.stringify(stored.slice(0, 2000))} is kept of ${JSON.stringify(accepted.content.slice(0, 2000))}`,
    );
  }
}

const shown = (plan: Plan): string =>
  JSON.stringify(plan, (_name, value: unknown) => (typeof value === 'string' ? value.slice(0, 4000) : value));

test(
  'whatever is sent, in whatever pieces: answered or ended, and accepted only what was sent whole by a valid key',
  async () => {
    const end = Date.now() + SECONDS * 1000;
    let [next, messages, fruitful] = [SEED, 0, 0];
    const speaker = async (): Promise<void> => {
      do {
        const accepted = await fuzz(next++);
        messages += accepted;
        if (accepted > 0) fruitful++;
        const wrong = worker.log.lines.splice(0).find(({ level }) => level >= LOG_ERROR);
        if (wrong) throw new Error(`near seed ${next - 1}: ${JSON.stringify(wrong)}`);
      } while (Date.now() < end);
    };
    await Promise.all(Array.from({ length: SECONDS > 0 ? AT_ONCE : 1 }, speaker));
    const told = `${messages} messages accepted in ${fruitful} of ${next - SEED} dialogues`;
    process.stderr.write(`fuzz: seeds ${SEED} to ${next - 1}, ${told}\n`);
    // About half: with much less, little of what is kept is looked at.
    if (SECONDS > 0) expect(fruitful / (next - SEED)).toBeGreaterThan(0.2);
    await expectNothingLeft();
  },
  SECONDS * 1000 + 60_000,
);

async function expectNothingLeft(): Promise<void> {
  await until('no session is open', async () => (await worker.metrics.connections.get()).values[0]?.value === 0);
  await until('no octet is held', () => budget.used === 0);
  const redis = worker.redis.client();
  await until('no body without its message', async () => {
    const bodies = await redis.keys('postern:{s0}:b:*');
    const messages = new Set(await redis.keys('postern:{s0}:m:*'));
    return bodies.every((name) => messages.has(name.replace(':b:', ':m:')));
  });
}
