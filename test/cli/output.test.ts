import { printable, renderTable } from '../../src/cli/output.js';

test('columns are as wide as their widest cell, and the last one gives way to the terminal', () => {
  const rows = [
    ['a', 'short'],
    ['longer', 'x'.repeat(50)],
  ];
  const lines = renderTable(['id', 'words'], rows, 30).split('\n');
  expect(lines[0]).toBe('ID      WORDS');
  expect(lines[1]).toBe('a       short');
  expect(lines[2]).toBe(`longer  ${'x'.repeat(21)}…`);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(30);
});

test('several columns give way, the widest first, and none to nothing', () => {
  const row = ['x'.repeat(22), 'sender@example.com', 'a-longer-recipient@example.com', 'w'.repeat(90)];
  const line = renderTable(['id', 'from', 'to', 'words'], [row], 60, 3).split('\n')[1]!;
  expect(line).toHaveLength(60);
  expect(line.split('  ').map((cell) => cell.length)).toEqual([22, 11, 11, 10]);
});

test('a table that cannot fit becomes lines of name and value', () => {
  const rows = [
    ['x'.repeat(22), 'delivered', 'y'.repeat(90)],
    ['z'.repeat(22), 'failed', 'short'],
  ];
  const text = renderTable(['id', 'status', 'words'], rows, 40);
  expect(text).toBe(
    [
      `ID      ${'x'.repeat(22)}\nSTATUS  delivered\nWORDS   ${'y'.repeat(31)}…\n`,
      `ID      ${'z'.repeat(22)}\nSTATUS  failed\nWORDS   short\n`,
    ].join('\n'),
  );
});

test('colours count for nothing in the width', () => {
  const [, first, second] = renderTable(
    ['a', 'b'],
    [
      ['\u001B[32mok\u001B[39m', 'x'],
      ['okay', 'y'],
    ],
    80,
  ).split('\n');
  expect(first).toBe('\u001B[32mok\u001B[39m    x');
  expect(second).toBe('okay  y');
});

test('what a client sent cannot steer the terminal', () => {
  expect(printable('a\u001B]0;title\u0007b\r\n\u009Bc')).toBe('a?]0;title?b???c');
  expect(printable('\u001B[2J')).toBe('?[2J');
});
