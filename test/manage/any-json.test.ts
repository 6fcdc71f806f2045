// Whatever JSON a client sends, the answer is a 2xx or a well-formed 4xx that the OpenAPI document describes.
import { asker, type Ask } from '../support/contract.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';
import { fc, runs } from '../support/properties.js';

let worker: TestWorker;
let ask: Ask;
let key: string;
let target: string;

beforeAll(async () => {
  worker = await startTestWorker({ roles: ['accept'], env: { POSTERN_KEYS_MAX_KEYS: '100000' } });
  ask = asker(worker.httpUrl);
  key = (await worker.mint()).key;
  target = (await worker.mint()).id;
});
afterAll(() => worker.stop());

const nearly = fc.record(
  {
    name: fc.oneof(fc.string(), fc.constant('fine'), fc.jsonValue()),
    scopes: fc.oneof(
      fc.array(fc.constantFrom('mail.send', 'billing.read', '*', '2fa_required', 'nothing')),
      fc.jsonValue(),
    ),
    restrictions: fc.oneof(
      fc.record(
        Object.fromEntries(
          [
            'from',
            'to',
            'ips',
            'expires_at',
            'rate',
            'quota',
            'max_bytes',
            'max_recipients',
            'require_tls',
            '__proto__',
          ].map((name) => [
            name,
            fc.oneof(
              fc.jsonValue(),
              fc.array(fc.constantFrom('example.com', '10.0.0.0/8', '::/0')),
              fc.double(),
              fc.constantFrom('1/1s', true),
            ),
          ]),
        ),
        { requiredKeys: [] },
      ),
      fc.jsonValue(),
    ),
  },
  { requiredKeys: [] },
);
const body = fc.oneof(nearly, fc.jsonValue()).map((value) => JSON.stringify(value));

it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
  'to %s',
  async (method) => {
    const path = method === 'POST' ? '/v3/api_keys' : `/v3/api_keys/${target}`;
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        // DELETE would end the key that the others change; one that is not there is as good.
        const answer = await ask(method === 'DELETE' ? '/v3/api_keys/none' : path, {
          ...{ method, key, body: text, headers: { 'content-type': 'application/json' } },
        });
        if (answer.status >= 200 && answer.status < 300) return;
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
        const { errors } = answer.json as { errors: { message: string }[] };
        expect(errors.length).toBeGreaterThan(0);
        for (const { message } of errors) expect(message).toMatch(/\S/);
      }),
      runs(150),
    );
  },
  60_000,
);

it('to any path and query under /v3', async () => {
  await fc.assert(
    fc.asyncProperty(fc.webPath(), fc.webQueryParameters(), async (path, query) => {
      const { status } = await ask(`/v3/${['api_keys', 'messages', 'scopes'][path.length % 3]}${path}?${query}`, {
        key,
      });
      expect(status).toBeLessThan(500);
    }),
    runs(100),
  );
});
