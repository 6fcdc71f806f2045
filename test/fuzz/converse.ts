// One dialogue over a raw socket: sends what its plan says, whatever the replies are, and takes them all.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { SmtpInput } from '../support/smtp-input.js';
import type { Plan } from './plan.js';
import { PATIENCE_MS } from '../support/until.js';

export interface Replies {
  /** The greeting first. */
  clear: string[];
  secure: string[];
}

/** Resolves when the connection is gone. @throws when it does not go. */
export async function converse(port: number, plan: Plan): Promise<Replies> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const replies: Replies = { clear: [], secure: [] };
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  take(socket, replies.clear);
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no end within ${PATIENCE_MS} ms: ${JSON.stringify(replies)}`)),
      PATIENCE_MS,
    );
  });
  await Promise.race([speak(socket, plan, replies).then(() => closed), hang]).finally(() => clearTimeout(timer));
  return replies;
}

async function speak(plain: Socket, plan: Plan, replies: Replies): Promise<void> {
  if (plan.waits) await until(plain, () => replies.clear.length > 0);
  let socket = plain;
  if (plan.secure === undefined) await send(socket, plan.octets, plan.cuts);
  else {
    plain.write(plan.octets, 'latin1');
    await until(plain, () => replies.clear.at(-1)?.startsWith('220 2.0.0 ') === true);
    if (plain.destroyed) return;
    socket = await encrypt(plain);
    take(socket, replies.secure);
    await send(socket, plan.secure, plan.cuts);
  }
  if (plan.end === 'FIN') socket.end();
  else if (socket === plain) plain.resetAndDestroy();
  else socket.destroy();
}

async function encrypt(plain: Socket): Promise<Socket> {
  plain.removeAllListeners('data');
  const secure = connectTls({ socket: plain, rejectUnauthorized: false });
  secure.on('error', () => plain.destroy());
  secure.on('close', () => plain.destroy());
  await Promise.race([once(secure, 'secureConnect'), once(plain, 'close')]).catch(() => {});
  return secure;
}

/** A turn of the event loop between two pieces, so that the server sees them apart. */
async function send(socket: Socket, octets: string, cuts: number[]): Promise<void> {
  for (const [index, from] of [0, ...cuts].entries()) {
    if (socket.destroyed || !socket.writable) return;
    socket.write(octets.slice(from, cuts[index]), 'latin1');
    if (cuts.length) await setImmediate();
  }
}

function take(socket: Socket, replies: string[]): void {
  const input = new SmtpInput();
  const lines: string[] = [];
  socket.on('data', (chunk: Buffer) => {
    input.push(chunk);
    for (let line = input.line(); line !== undefined; line = input.line()) {
      lines.push(line);
      if (line[3] !== '-') replies.push(lines.splice(0).join('\n'));
    }
    socket.emit('replies');
  });
}

/** Resolves when it is so, or the connection is gone. */
async function until(socket: Socket, isSo: () => boolean): Promise<void> {
  const closed = once(socket, 'close').catch(() => {});
  while (!socket.destroyed && !isSo()) await Promise.race([once(socket, 'replies').catch(() => {}), closed]);
}
