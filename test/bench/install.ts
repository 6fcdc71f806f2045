// Debian packages that only the peers need, put in where they are missing. Their services are not started: the
// benchmark runs an instance of its own.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/** Debian asks it before it starts the service of a package that it installs; 101 means no. */
const POLICY = '/usr/sbin/policy-rc.d';

/** @param program is there afterwards. @throws Error when the machine has no apt-get or we are not root. */
export function install(program: string, packages: string[]): void {
  if (existsSync(program)) return;
  const command = ['apt-get', '-qq', '-y', 'install', '--no-install-recommends', ...packages];
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`${program} is missing: install ${packages.join(', ')}, or run as root on Debian or Ubuntu`);
  }
  console.log(`installing: ${command.join(' ')}`);
  withoutServices(() => run(command) || (run(['apt-get', '-qq', 'update']) && run(command)));
  if (!existsSync(program)) throw new Error(`${program} could not be installed with: ${command.join(' ')}`);
}

/** A policy that is there already is the machine's own and stays. */
function withoutServices(work: () => void): void {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    work();
  } finally {
    if (ours) rmSync(POLICY);
  }
}

function run([program, ...args]: string[]): boolean {
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    execFileSync(program!, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
    return true;
  } catch {
    return false;
  }
}
