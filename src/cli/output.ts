// What a command prints: its answer on standard output, as JSON or for people; everything else on standard error.
import { stripVTControlCharacters, styleText } from 'node:util';

export interface Output {
  /** The answer, as one JSON document. */
  json(value: unknown): void;
  /** The answer, for people. */
  line(text?: string): void;
  /** A table that fits the terminal: the last column gives way. */
  table(head: string[], rows: string[][]): void;
  /** Remarks and warnings. */
  note(text: string): void;
}

const MIN_LAST_COLUMN = 10;

export const standardOutput: Output = {
  json: (value) => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
  line: (text = '') => void process.stdout.write(`${text}\n`),
  table: (head, rows) => {
    const width = process.stdout.isTTY ? process.stdout.columns || 80 : Infinity;
    process.stdout.write(renderTable(head, rows, width));
  },
  note: (text) => void process.stderr.write(`${text}\n`),
};

/** Colours a word, on a terminal and without NO_COLOR only (styleText looks). */
export function colour(kind: 'red' | 'green' | 'yellow' | 'dim', text: string): string {
  return process.stdout.isTTY ? styleText(kind, text) : text;
}

/** Columns padded to their widest cell, lines cut to `width`. */
export function renderTable(head: string[], rows: string[][], width: number): string {
  const cells = [head.map((name) => name.toUpperCase()), ...rows.map((row) => row.map(printable))];
  const widths = head.map((_name, at) => Math.max(...cells.map((row) => lengthOf(row[at] ?? ''))));
  const fixed = widths.slice(0, -1).reduce((sum, each) => sum + each + 2, 0);
  const last = Math.max(MIN_LAST_COLUMN, width - fixed);
  return cells.map((row) => `${renderRow(row, widths, last)}\n`).join('');
}

function renderRow(row: string[], widths: number[], last: number): string {
  const end = row.length - 1;
  const columns = row.map((cell, at) =>
    at === end ? cut(cell, last) : cell + ' '.repeat(widths[at]! - lengthOf(cell)),
  );
  return columns.join('  ').trimEnd();
}

const lengthOf = (text: string): number => stripVTControlCharacters(text).length;

/** What came from a client must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001A\u001C-\u001F\u007F-\u009F]|\u001B(?!\[\d+m)/g, '?');
}

const cut = (text: string, width: number): string => (lengthOf(text) > width ? `${text.slice(0, width - 1)}…` : text);

/** `2026-11-23 12:04:05` in UTC, or a dash for never. */
export function time(ms: number): string {
  return ms ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : '-';
}
