// Haraka as a peer: installed from npm into the bench's temporary folder, with a process per core, AUTH against a flat
// file, its outbound queue on disk, and a plugin of ours that names the sink as the MX of every domain.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../support/certificate.js';
import { freePort, untilListening } from './free-port.js';
import { processTree } from './processes.js';
import { Program } from './program.js';
import { Sink } from './sink-client.js';
import type { Bench, Subject } from './subject.js';

const PACKAGE = 'Haraka@3';
const USER = { user: 'apikey', pass: 'bench-password' };

export async function startHaraka(name: string, { lifecycle, dir }: Bench): Promise<Subject> {
  const npm = ['install', '--prefix', dir, '--no-audit', '--no-fund', '--loglevel=error', PACKAGE];
  execFileSync('npm', npm, { stdio: ['ignore', 'ignore', 'inherit'] });
  const sink = await Sink.start(dir, lifecycle);
  const port = await freePort();
  const home = join(dir, 'home');
  const installed = join(dir, 'node_modules', 'Haraka');
  await configure(home, installed, port, sink.port);
  // Its log goes to standard output.
  const argv: [string, ...string[]] = [
    'sh',
    '-c',
    'exec "$0" "$@" >&2',
    process.execPath,
    join(installed, 'bin', 'haraka'),
    '-c',
    home,
  ];
  const program = Program.start({ name, argv, logFile: join(dir, 'log') }, lifecycle);
  await untilListening(port, program);
  return {
    name,
    port,
    auth: USER,
    sink,
    processes: () => processTree(program.pid).map(({ pid }) => ({ pid, name })),
    isIdle: () => Promise.resolve(readdirSync(join(home, 'queue')).length === 0),
    remarks: [`Haraka ${version(installed)}, a process per core, AUTH against a flat file, log level notice`],
  };
}

/** On top of the configuration that it comes with. */
async function configure(home: string, program: string, port: number, sinkPort: number): Promise<void> {
  cpSync(join(program, 'config'), join(home, 'config'), { recursive: true });
  for (const folder of ['plugins', 'queue']) mkdirSync(join(home, folder), { recursive: true });
  const { key, cert } = await makeCertificate();
  const files = {
    'config/smtp.ini': `listen=127.0.0.1:${port}\nnodes=cpus\n`,
    'config/plugins': 'tls\nauth/flat_file\nto_sink\n',
    'config/auth_flat_file.ini': `[core]\nmethods=PLAIN,LOGIN\nconstrain_sender=false\n[users]\n${USER.user}=${USER.pass}\n`,
    'config/outbound.ini': 'enable_tls=false\nlocal_mx_ok=true\n',
    'config/log.ini': 'level=notice\nformat=default\n',
    'config/me': 'haraka.test\n',
    'config/tls_key.pem': key,
    'config/tls_cert.pem': cert,
    'plugins/to_sink.js': `exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: ${sinkPort} });\n`,
  };
  for (const [file, text] of Object.entries(files)) writeFileSync(join(home, file), text);
}

function version(installed: string): string {
  return (JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { version: string }).version;
}
