// Who may read the figures, with a proxy in front.
import { asker, type Ask } from '../support/contract.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let worker: TestWorker;
let ask: Ask;
beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'], env: { POSTERN_HTTP_TRUSTED_PROXIES: '127.0.0.1, ::1' } });
  ask = asker(worker.httpUrl);
});
afterAll(() => worker.stop());

const from = (client: string, key = '') =>
  ask('/metrics', { headers: { 'x-forwarded-for': client }, ...(key && { key }) });

it('are free on this machine alone', async () => {
  expect(await ask('/metrics')).toMatchObject({ status: 200, text: expect.stringContaining('postern_') as string });
  for (const client of ['198.51.100.7', '127.0.0.1, 198.51.100.7', '2001:db8::1', 'unknown', '127.0.0.1.example']) {
    expect(await from(client)).toMatchObject({
      ...{ status: 401, text: '{"errors":[{"field":null,"message":"authorization required"}]}' },
    });
  }
});

it('are open to a key with stats.read from anywhere, and to no other', async () => {
  const reader = await worker.mint({ scopes: ['stats.read'] });
  const sender = await worker.mint({ scopes: ['mail.send'] });

  expect((await from('198.51.100.7', reader.key)).status).toBe(200);
  expect((await from('198.51.100.7', sender.key)).status).toBe(403);
});

it('says that it is alive and ready to everybody', async () => {
  for (const path of ['/healthz', '/readyz']) expect((await ask(path)).status).toBe(200);
});
