// What commands look like on a terminal and away from one: colours where they belong, tables that fit, and no message
// that steers the terminal.
import { execute, POSTERN } from '../support/built-command.js';
import { submitOnce } from '../support/built-mail.js';
import { startPostern, type ReadyPostern } from '../support/built-server.js';

let server: ReadyPostern;
beforeAll(async () => {
  server = await startPostern();
});

/** Runs the command on a terminal of 80 columns and returns what it showed. */
async function onTerminal(args: string[], env: Record<string, string>): Promise<string> {
  const script = [
    'import fcntl, os, pty, struct, sys, termios',
    'pid, terminal = pty.fork()',
    'if pid == 0:',
    '    os.execvp(sys.argv[1], sys.argv[1:])',
    "fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))",
    'try:',
    '    while chunk := os.read(terminal, 65536): sys.stdout.buffer.write(chunk)',
    'except OSError: pass',
    'os.waitpid(pid, 0)',
  ].join('\n');
  const { stdout } = await execute('python3', ['-c', script, POSTERN, ...args], {
    env: { ...server.env, TERM: 'xterm-256color', ...env },
  });
  return stdout;
}
const COLOUR = '\u001B[';

it('colours are used, but not with NO_COLOR, nor in a pipe', async () => {
  const [coloured, plain, piped] = await Promise.all([
    onTerminal(['keys', 'list'], {}),
    onTerminal(['keys', 'list'], { NO_COLOR: '1' }),
    server.run(['keys', 'list']).then(({ stdout }) => stdout),
  ]);

  expect(coloured).toContain(COLOUR);
  expect(plain).toContain('active');
  expect(plain).not.toContain(COLOUR);
  expect(piped).toContain('active');
  expect(piped).not.toContain(COLOUR);
});

it('a message cannot steer it', async () => {
  const data = 'Subject: red\u0007\r\n\r\n\u001b]0;title\u0007text\u001b[2K\u009b2J\r\n';
  const id = await submitOnce(server.smtp, server.key(), { data });

  const shown = await onTerminal(['messages', 'show', id], { NO_COLOR: '1' });

  expect(shown).toContain('text');
  expect(shown.replaceAll('\r\n', '\n')).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});
