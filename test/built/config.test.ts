// A secret that is written wrongly is a fault like any other, and is not shown in the telling of it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postern } from '../support/built-command.js';
import { temporaryFolder } from '../support/built-server.js';
import { together } from '../support/built-together.js';

interface Given {
  env?: Record<string, string>;
  config?: string;
}

/** `config check` of what is given. */
function check({ env = {}, config = '' }: Given) {
  const file = join(temporaryFolder(), 'postern.yml');
  writeFileSync(file, config);
  return postern(['--config', file, 'config', 'check'], { env });
}

describe('a secret that is written wrongly is not shown', () => {
  const cases: Record<string, Given> = {
    'a relay password with a slash': { env: { POSTERN_RELAY_URL: 'smtp://user:top/secret@relay.example.com' } },
    'a relay password with an @ beside a blank': {
      env: { POSTERN_RELAY_URL: 'smtp://us er:top@secret@relay.example.com' },
    },
    'a relay without its slashes': { env: { POSTERN_RELAY_URL: 'smtp:user:secret@relay.example.com' } },
    'a Redis without its slashes': { env: { POSTERN_REDIS_URL: 'redis:user:secret@redis.example.com' } },
    'a pepper that YAML reads as a number': { config: 'keys:\n  pepper: 736563726574\n' },
    'a pepper that YAML reads as a list': { config: 'keys:\n  pepper: [secret]\n' },
    'a pepper in a line that is no YAML': { config: 'keys:\n  pepper: secret: "pepper\n' },
    'a relay in a file that is cut short': { config: 'relay:\n  url: "smtp://user:secret@relay.example.com\n' },
  };
  const result = together(Object.keys(cases), (name) => check(cases[name]!));

  it.each(Object.keys(cases))('%s', async (name) => {
    const { code, stdout, stderr } = await result(name);

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).not.toMatch(/secret|736563726574/);
  });

  it('a Redis password in the query of a good URL', async () => {
    const url = 'redis://redis.example.com:6379/0?password=secret';
    const { code, stdout, stderr } = await postern(['config', 'print'], { env: { POSTERN_REDIS_URL: url } });

    expect(code).toBe(0);
    expect(stdout).toContain('redis.example.com');
    expect(stdout + stderr).not.toContain('secret');
  });
});

describe('nothing is not taken for the number 0', () => {
  const cases: Record<string, Given> = {
    'an empty port': { env: { POSTERN_SMTP_PORT: '' } },
    'a blank number': { env: { POSTERN_DRAIN_SECONDS: ' ' } },
  };
  const result = together(Object.keys(cases), (name) => check(cases[name]!));

  it.each(Object.keys(cases))('%s', async (name) => {
    const { code, stderr } = await result(name);

    expect(code).toBe(1);
    expect(stderr).toMatch(/smtp\.port|drainSeconds/);
  });
});
