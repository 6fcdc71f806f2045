// Tables of what is sent and what is replied: each row has a connection of its own, and its last line is judged.
import { openDialogue, type Dialogue } from './dialogue.js';
import type { TestWorker } from './worker.js';

export const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');

/** `<login>` in a line is AUTH with a good key. */
export type Row = [sent: string, reply: RegExp, name?: string];
export type Table = [state: keyof typeof AT, rows: Row[]][];

const AT = {
  /** Nothing was said before. */
  start: [] as string[],
  hello: ['EHLO client.test'],
  login: ['EHLO client.test', '<login>'],
  mail: ['EHLO client.test', '<login>', 'MAIL FROM:<a@example.com>'],
  utf8: ['EHLO client.test', '<login>', 'MAIL FROM:<a@example.com> SMTPUTF8'],
  rcpt: ['EHLO client.test', '<login>', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>'],
  helo: ['HELO client.test', '<login>'],
  authLogin: ['EHLO client.test', 'AUTH LOGIN'],
  authPlain: ['EHLO client.test', 'AUTH PLAIN'],
};

/** A test for each row. @param server a worker and a key of its, once they are there. */
export function testTable(table: Table, server: () => { worker: TestWorker; key: string }): void {
  describe.each(table)('after %s', (state, rows) => {
    test.each(rows.map(([sent, reply, name]) => [name ?? sent.slice(0, 80), sent, reply] as const))(
      '%s',
      async (_name, sent, expected) => {
        const { worker, key } = server();
        const login = `AUTH PLAIN ${base64(`\0apikey\0${key}`)}`;
        const dialogue = await openDialogue(worker.port);
        for (const line of AT[state]) expect(await say(dialogue, line, login)).toMatch(/^[23]/);
        const reply = await say(dialogue, sent, login);
        expect(reply).toMatch(expected);
        for (const line of reply.split('\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(510);
        if (reply.startsWith('421')) await dialogue.closed;
        await dialogue.close();
      },
    );
  });
}

const say = (dialogue: Dialogue, line: string, login: string): Promise<string> =>
  dialogue.line(line.replace('<login>', login));
