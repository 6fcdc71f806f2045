// What a process counts for itself, what it asks the parent, and when it tells what changed.
import {
  ConnectionGate,
  ConnectionLedger,
  type Changes,
  type CommonCount,
} from '../../../src/accept/smtp/connection-count.js';

const CLIENT = '192.0.2.1';
const limits = { maxConnections: 100, maxConnectionsPerAddress: 40 };

/** A parent that has only this process, with everything that it was told. */
function parent() {
  const ledger = new ConnectionLedger();
  const told: Changes[] = [];
  const common: CommonCount = {
    ask: (network) => Promise.resolve(ledger.ask(1, network, limits)),
    report: (changes) => {
      told.push(changes);
      ledger.report(1, changes);
    },
  };
  return { told, common, ledger };
}

const admitAll = (gate: ConnectionGate, count: number) =>
  Promise.all(Array.from({ length: count }, async () => gate.admit(CLIENT)));

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

it('far from the limits, connections that come and go within a quarter of a second are nobody else’s business', async () => {
  const { told, common } = parent();
  const gate = new ConnectionGate(limits, 2, common);
  for (let number = 0; number < 50; number++) {
    expect(gate.admit(CLIENT)).toBeUndefined();
    gate.leave(CLIENT);
  }
  await admitAll(gate, 2);

  jest.advanceTimersByTime(249);
  expect(told).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(told).toEqual([[[CLIENT, 2]]]);
});

it('a crowd is told at once: the parent never lacks more than a quarter of what is free', async () => {
  const { told, common } = parent();
  await admitAll(new ConnectionGate(limits, 2, common), 9);

  expect(told).toEqual([[[CLIENT, 3]], [[CLIENT, 3]], [[CLIENT, 3]]]);
});

it('beyond what is free the parent is asked, which has heard of everything before', async () => {
  const { common, ledger } = parent();
  const gate = new ConnectionGate(limits, 2, common);

  const verdicts = await admitAll(gate, 50);
  expect(verdicts.filter((verdict) => verdict === undefined)).toHaveLength(40);
  expect(verdicts.filter((verdict) => verdict === 'too-many-connections-from-address')).toHaveLength(10);

  gate.leave(CLIENT);
  jest.advanceTimersByTime(20);
  expect(ledger.ask(2, CLIENT, limits)).toBeUndefined();
  expect(ledger.ask(2, CLIENT, limits)).toBe('too-many-connections-from-address');
});

it('where a limit leaves nothing free, whoever goes is told at once', async () => {
  const { told, common } = parent();
  const gate = new ConnectionGate({ ...limits, maxConnectionsPerAddress: 3 }, 2, common);
  await admitAll(gate, 1);
  gate.leave(CLIENT);

  expect(told).toEqual([[[CLIENT, -1]]]);
});
