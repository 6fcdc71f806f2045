import { Gathering, Rounds } from '../../src/spool/rounds.js';
import { until } from '../support/until.js';

/** A call that ends when the test says so, and remembers what it was given. */
function heldCall() {
  const calls: number[][] = [];
  const ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const call = (items: number[]): Promise<string[]> => {
    calls.push(items);
    return new Promise((resolve, reject) =>
      ends.push({ resolve: () => resolve(items.map((item) => `done ${item}`)), reject }),
    );
  };
  return { calls, ends, call };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a lone item goes at once; those that come while it is under way go together, each with its own result', async () => {
  const { calls, ends, call } = heldCall();
  const gathering = new Gathering(new Rounds(), 10, call);
  const results = Promise.all([gathering.add(1), gathering.add(2), gathering.add(3)]);
  expect(calls).toEqual([[1]]);
  ends[0]!.resolve();
  await turn();
  expect(calls).toEqual([[1], [2, 3]]);
  ends[1]!.resolve();
  expect(await results).toEqual(['done 1', 'done 2', 'done 3']);
  expect(await Promise.race([gathering.add(4), turn().then(() => ends[2]!.resolve())])).toBeUndefined();
  expect(calls[2]).toEqual([4]);
});

test('no call has more than it may, and none is forgotten', async () => {
  const { calls, ends, call } = heldCall();
  const gathering = new Gathering(new Rounds(), 2, call);
  const results = Promise.all([1, 2, 3, 4, 5, 6].map((item) => gathering.add(item)));
  ends[0]!.resolve();
  await turn();
  expect(calls).toEqual([[1], [2, 3], [4, 5], [6]]);
  ends.slice(1).forEach(({ resolve }) => resolve());
  expect(await results).toHaveLength(6);
});

test('a call that fails fails those that were in it, and the next round goes on', async () => {
  const { ends, call } = heldCall();
  const gathering = new Gathering(new Rounds(), 10, call);
  const first = gathering.add(1);
  const later = [gathering.add(2), gathering.add(3)];
  ends[0]!.reject(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  await turn();
  ends[1]!.resolve();
  expect(await Promise.all(later)).toEqual(['done 2', 'done 3']);
});

test('things of different kinds share a round', async () => {
  const [puts, settlements] = [heldCall(), heldCall()];
  const rounds = new Rounds();
  const [put, settle] = [new Gathering(rounds, 10, puts.call), new Gathering(rounds, 10, settlements.call)];
  const all = Promise.all([put.add(1), put.add(2), settle.add(3)]);
  expect(settlements.calls).toEqual([]);
  puts.ends[0]!.resolve();
  await turn();
  expect([puts.calls, settlements.calls]).toEqual([[[1], [2]], [[3]]]);
  puts.ends[1]!.resolve();
  settlements.ends[0]!.resolve();
  expect(await all).toHaveLength(3);
});

describe('what has patience', () => {
  const patient = (rounds: Rounds, call: (items: number[]) => Promise<string[]>, ms: number) =>
    new Gathering(rounds, 10, call, ms);

  test('waits for something that has none, and goes with it', async () => {
    const [puts, settlements] = [heldCall(), heldCall()];
    const rounds = new Rounds();
    const all = [patient(rounds, settlements.call, 60_000).add(1)];
    await turn();
    expect(settlements.calls).toEqual([]);
    all.push(new Gathering(rounds, 10, puts.call).add(2));
    expect([settlements.calls, puts.calls]).toEqual([[[1]], [[2]]]);
    [settlements, puts].forEach(({ ends }) => ends[0]!.resolve());
    expect(await Promise.all(all)).toEqual(['done 1', 'done 2']);
  });

  test('also waits when a round has ended, and goes by itself when its time has come', async () => {
    const [puts, settlements] = [heldCall(), heldCall()];
    const rounds = new Rounds();
    const settle = patient(rounds, settlements.call, 20);
    const all = [new Gathering(rounds, 10, puts.call).add(1), settle.add(2), settle.add(3)];
    puts.ends[0]!.resolve();
    await turn();
    expect(settlements.calls).toEqual([]);
    await until('its time', () => settlements.calls.length === 1);
    expect(settlements.calls).toEqual([[2, 3]]);
    settlements.ends[0]!.resolve();
    expect(await Promise.all(all)).toHaveLength(3);
  });
});
