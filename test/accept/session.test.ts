import { queueId, startTestWorker, submit, type TestWorker } from '../support/worker.js';

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

test('a message is accepted, captured and kept octet for octet behind its trace fields', async () => {
  const { key } = await worker.mint();
  const dialogue = await worker.logIn(key);
  const octets = 'From: a@example.com\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n.dot\r\n..two\r\nend\r\n';
  const id = queueId(await submit(dialogue, octets));
  await worker.log.line('message captured', (line) => line.id === id);
  const body = (await worker.desk.body(id))!.toString();
  expect(body).toMatch(/^Received: from client\.test \(\[127\.0\.0\.1\]\)\r\n\tby postern\.test/);
  expect(body.endsWith(octets)).toBe(true);
  await dialogue.close();
});
