// One JSON object a line (or a readable line on a terminal), on standard error.
// Promise: nothing that has the shape of an API key leaves through the log, whatever text it came in.
import { pino, type Logger } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { maskKeys } from './mask.js';

export type Log = Logger;

export interface LogSettings {
  level: string;
  format: 'auto' | 'json' | 'pretty';
}

const BUFFER_BYTES = 8192;
const FLUSH_MS = 100;

/** A log on standard error. `bindings` are fields of every line. */
export function createLog(settings: LogSettings, bindings: Record<string, unknown> = {}): Log {
  const pretty = settings.format === 'pretty' || (settings.format === 'auto' && Boolean(process.stderr.isTTY));
  // A write for every line is a good part of what a message costs: lines wait for each other, not for long.
  const destination = pino.destination({ fd: 2, sync: pretty, minLength: pretty ? 0 : BUFFER_BYTES });
  if (!pretty) setInterval(() => destination.flush(), FLUSH_MS).unref();
  const options = {
    level: settings.level,
    base: bindings,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: maskKeys },
  };
  if (!pretty) return pino(options, destination);
  return pino(options, PinoPretty({ destination, ignore: 'pid,process', translateTime: 'SYS:HH:MM:ss.l' }));
}

/** A log that says nothing, for commands and tests that have nobody to tell. */
export const silentLog: Log = pino({ level: 'silent' });
