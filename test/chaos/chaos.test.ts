// The short form of `npm run chaos`: the same clients, faults and checks, two rounds with a fixed seed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lifecycle } from '../../src/base/lifecycle.js';
import { runChaos } from './chaos.js';
import { failure } from './table.js';

jest.setTimeout(240_000);

const SEED = 6;

test('nothing is lost and no copy comes unmarked while everything is killed, cut and filled', async () => {
  const lifecycle = new Lifecycle();
  const dir = mkdtempSync(join(tmpdir(), 'postern-chaos-'));
  lifecycle.defer('the folder', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  try {
    const options = { seed: SEED, from: 1, rounds: 2, minutes: 3, loadMs: 1500, clients: 6 };
    const { rounds, wrongs } = await runChaos({ ...options, kinds: ['embedded', 'own'] }, dir, lifecycle, () => {});
    expect(rounds.filter((round) => round.wrongs.length > 0).map((round) => failure(round, SEED))).toEqual([]);
    expect(wrongs).toEqual([]);
    expect(rounds.reduce((sum, { counts }) => sum + counts.accepted, 0)).toBeGreaterThan(0);
  } finally {
    await lifecycle.close();
  }
});
