// /v3/messages and /v3/messages/{id}, and that both tell what the command line tells.
import { describeMessage } from '../../src/report/history.js';
import { asker, type Ask } from '../support/contract.js';
import { queueId, startTestWorker, submit, type TestWorker } from '../support/worker.js';
import { until } from '../support/until.js';

let worker: TestWorker;
let ask: Ask;
let reader: string;
let sender: { key: string; id: string };
/** Newest first, as they are listed. */
let ids: string[] = [];

beforeAll(async () => {
  worker = await startTestWorker();
  ask = asker(worker.httpUrl);
  reader = (await worker.mint({ scopes: ['messages.read'] })).key;
  sender = await worker.mint({ scopes: ['mail.send'] });
  const dialogue = await worker.logIn(sender.key);
  for (let count = 0; count < 5; count++) {
    const text = `Subject: number ${count} of ${sender.key}\r\n\r\nthe secret text\r\n`;
    ids.push(queueId(await submit(dialogue, text, ['a@example.com', 'b@example.com'])));
  }
  await dialogue.close();
  const sent = await Promise.all(ids.map((id) => worker.desk.find(id)));
  const order = new Map(sent.map((message) => [message!.record.id, message!.record.acceptedAt]));
  ids = ids.sort((one, other) => order.get(other)! - order.get(one)! || (one < other ? 1 : -1));
  await until('all are captured', async () => (await list('?status=captured')).result.length === 5);
});
afterAll(() => worker.stop());

interface Page {
  result: { id: string; subject: string }[];
  next_cursor: string | null;
}
const list = async (query = ''): Promise<Page> => (await ask(`/v3/messages${query}`, { key: reader })).json as Page;

it('lists messages, newest first, and tells of each what the history tells', async () => {
  const { result, next_cursor: next } = await list();

  expect(result.map(({ id }) => id)).toEqual(ids);
  expect(next).toBeNull();
  expect(result[0]).toMatchObject({
    ...{ status: 'captured', from: 'app@example.com', api_key_id: sender.id, client: '127.0.0.1' },
    recipients: [
      { address: 'a@example.com', state: 'captured' },
      { address: 'b@example.com', state: 'captured' },
    ],
  });
  expect(result[0]).toEqual(describeMessage((await worker.desk.find(ids[0]!))!));
});

it('leads from page to page, and meets every message once', async () => {
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page = await list(`?limit=2${cursor && `&cursor=${cursor}`}`);
    expect(page.result.length).toBeLessThanOrEqual(2);
    seen.push(...page.result.map(({ id }) => id));
    cursor = page.next_cursor;
  }
  expect(seen).toEqual(ids);
});

it('shows one message, without its text', async () => {
  const { status, json, text } = await ask(`/v3/messages/${ids[0]}`, { key: reader });

  expect(status).toBe(200);
  expect(json).toEqual({ ...describeMessage((await worker.desk.find(ids[0]!))!), has_body: true });
  expect(text).not.toContain('the secret text');
});

it('shows no key that somebody has written into a subject', async () => {
  const { text } = await ask('/v3/messages', { key: reader });
  expect(text).toContain(`${sender.id}.[secret]`);
  expect(text).not.toContain(sender.key);
});

it.each([
  ['status=lost', 'status', 'expected one of '],
  ['limit=0', 'limit', 'from 1 to 500'],
  ['limit=501', 'limit', 'from 1 to 500'],
  ['cursor=x', 'cursor', 'next_cursor'],
  ['cursor=1.%00', 'cursor', 'next_cursor'],
])('refuses ?%s', async (query, field, message) => {
  const answer = await ask(`/v3/messages?${query}`, { key: reader });
  expect(answer).toMatchObject({ status: 400, json: { errors: [{ field }] } });
  expect(answer.text).toContain(message);
});

it('does not know a message that does not exist', async () => {
  for (const id of ['none', 'A'.repeat(22), '*', 'x%2fy']) {
    expect(await ask(`/v3/messages/${id}`, { key: reader })).toMatchObject({
      ...{ status: 404, text: '{"errors":[{"field":null,"message":"not found"}]}' },
    });
  }
});

it('needs messages.read', async () => {
  for (const path of ['/v3/messages', `/v3/messages/${ids[0]}`]) {
    expect((await ask(path, { key: sender.key })).status).toBe(403);
    expect((await ask(path)).status).toBe(401);
  }
});
