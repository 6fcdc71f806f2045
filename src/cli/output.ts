// What a command prints: its answer on standard output, as JSON or for people; everything else on standard error.
import { stripVTControlCharacters, styleText } from 'node:util';

export interface Output {
  /** The answer, as one JSON document. */
  json(value: unknown): void;
  /** The answer, for people. */
  line(text?: string): void;
  /** A table that fits the terminal: the last `flexible` columns, one if not said, give way. */
  table(head: string[], rows: string[][], flexible?: number): void;
  /** Remarks and warnings. */
  note(text: string): void;
}

const MIN_COLUMN = 7;

export const standardOutput: Output = {
  json: (value) => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
  line: (text = '') => void process.stdout.write(`${text}\n`),
  table: (head, rows, flexible) => {
    const width = process.stdout.isTTY ? process.stdout.columns || 80 : Infinity;
    process.stdout.write(renderTable(head, rows, width, flexible));
  },
  note: (text) => void process.stderr.write(`${text}\n`),
};

/** Colours a word, on a terminal and without NO_COLOR only (styleText looks). */
export function colour(kind: 'red' | 'green' | 'yellow' | 'dim', text: string): string {
  return process.stdout.isTTY ? styleText(kind, text) : text;
}

/**
 * Columns padded to their widest cell. Where lines would be longer than `width`, the last `flexible` columns give way,
 * the widest first; where that is not enough, every cell gets a line of its own.
 */
export function renderTable(head: string[], rows: string[][], width: number, flexible = 1): string {
  const names = head.map((name) => name.toUpperCase());
  const cells = rows.map((row) => row.map(printable));
  const widths = squeezed(widestOf([names, ...cells]), width, flexible);
  if (!widths) return cells.map((row) => renderBlock(names, row, width)).join('\n');
  return [names, ...cells].map((row) => `${renderRow(row, widths)}\n`).join('');
}

function widestOf(cells: string[][]): number[] {
  return cells[0]!.map((_name, at) => Math.max(...cells.map((row) => lengthOf(row[at] ?? ''))));
}

/** @returns undefined when the columns do not fit. */
function squeezed(widths: number[], width: number, flexible: number): number[] | undefined {
  const fitting = [...widths];
  const between = 2 * (widths.length - 1);
  for (let over = sum(widths) + between - width; over > 0; over--) {
    const widest = Math.max(...fitting.slice(-flexible));
    if (widest <= MIN_COLUMN) return undefined;
    fitting[fitting.lastIndexOf(widest)]!--;
  }
  return fitting;
}

const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);

function renderRow(row: string[], widths: number[]): string {
  const columns = row.map((cell, at) => {
    const fitting = cut(cell, widths[at]!);
    return fitting + ' '.repeat(widths[at]! - lengthOf(fitting));
  });
  return columns.join('  ').trimEnd();
}

function renderBlock(names: string[], row: string[], width: number): string {
  const label = Math.max(...names.map(lengthOf)) + 2;
  const lines = row.map((cell, at) => names[at]!.padEnd(label) + cut(cell, Math.max(MIN_COLUMN, width - label)));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

const lengthOf = (text: string): number => stripVTControlCharacters(text).length;

/** What came from a client must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001A\u001C-\u001F\u007F-\u009F]|\u001B(?!\[\d+m)/g, '?');
}

const cut = (text: string, width: number): string => (lengthOf(text) > width ? `${text.slice(0, width - 1)}…` : text);

/** `2026-11-23` in UTC, or a dash for never. */
export const day = (ms: number): string => time(ms).slice(0, 10);

/** `2026-11-23 12:04:05` in UTC, or a dash for never. */
export function time(ms: number): string {
  return ms ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : '-';
}
