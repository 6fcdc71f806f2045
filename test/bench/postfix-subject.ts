// Postfix as a peer: an instance of its own with its configuration and queue in the bench's temporary folder, never
// touching the machine's own. Cyrus SASL checks the password in a file, no file is in a
// chroot, mail goes to the sink, limits that a benchmark from one address would meet are lifted; the rest is default.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeCertificate } from '../support/certificate.js';
import { freePort, untilListening } from './free-port.js';
import { install } from './install.js';
import { processTree } from './processes.js';
import { Program } from './program.js';
import { Sink } from './sink-client.js';
import type { Bench, Subject } from './subject.js';

const PACKAGES = ['postfix', 'sasl2-bin', 'libsasl2-modules', 'libsasl2-modules-db'];
const DAEMONS = '/usr/lib/postfix/sbin';
const SERVICES = '/usr/share/postfix/master.cf.dist';
const USER = { user: 'apikey@postfix.test', pass: 'bench-password' };

export async function startPostfix(name: string, { lifecycle, dir }: Bench): Promise<Subject> {
  install('/usr/sbin/postfix', PACKAGES);
  const sink = await Sink.start(dir, lifecycle);
  const port = await freePort();
  await configure(dir, port, sink.port);
  // The check makes the folders of the queue. The usual `postfix start` would leave a daemon.
  execFileSync('/usr/sbin/postfix', ['-c', join(dir, 'etc'), 'check']);
  const argv: [string, ...string[]] = [join(DAEMONS, 'master'), '-c', join(dir, 'etc'), '-s'];
  const program = Program.start({ name, argv, logFile: join(dir, 'log') }, lifecycle);
  await untilListening(port, program);
  return {
    name,
    port,
    auth: USER,
    sink,
    processes: () => processTree(program.pid).map(({ pid }) => ({ pid, name })),
    isIdle: () => Promise.resolve(isEmpty(join(dir, 'queue'))),
    remarks: [`${version()}, AUTH with Cyrus SASL (sasldb), 100 processes of a kind, its log in a file`],
  };
}

/** Its processes are other users', so they must get through to the folder. */
async function configure(dir: string, port: number, sinkPort: number): Promise<void> {
  for (const folder of [dirname(dir), dir]) chmodSync(folder, 0o711);
  for (const folder of ['etc', 'etc/sasl', 'queue', 'data']) mkdirSync(join(dir, folder), { mode: 0o755 });
  const owner = Number(execFileSync('id', ['-u', 'postfix'], { encoding: 'utf8' }));
  chownSync(join(dir, 'data'), owner, 0);
  const { key, cert } = await makeCertificate();
  writeFileSync(join(dir, 'key.pem'), key, { mode: 0o600 });
  writeFileSync(join(dir, 'cert.pem'), cert);
  writeFileSync(join(dir, 'etc', 'main.cf'), mainCf(dir, sinkPort));
  writeFileSync(join(dir, 'etc', 'master.cf'), masterCf(port));
  makePassword(dir, owner);
}

function makePassword(dir: string, owner: number): void {
  const file = join(dir, 'etc', 'sasl', 'sasldb2');
  const [user, realm] = USER.user.split('@') as [string, string];
  execFileSync('/usr/sbin/saslpasswd2', ['-f', file, '-c', '-p', '-u', realm, user], { input: USER.pass });
  chownSync(file, owner, 0);
  const settings = [
    'pwcheck_method: auxprop',
    'auxprop_plugin: sasldb',
    `sasldb_path: ${file}`,
    'mech_list: PLAIN LOGIN',
  ];
  writeFileSync(join(dir, 'etc', 'sasl', 'smtpd.conf'), `${settings.join('\n')}\n`);
}

function mainCf(dir: string, sinkPort: number): string {
  return `compatibility_level = 3.6
queue_directory = ${dir}/queue
data_directory = ${dir}/data
command_directory = /usr/sbin
daemon_directory = ${DAEMONS}
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${dir}/mail.log
maillog_file_prefixes = ${dir}
myhostname = postfix.test
mydestination =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
relayhost = [127.0.0.1]:${sinkPort}
message_size_limit = 31457280
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_path = smtpd
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${dir}/cert.pem
smtpd_tls_key_file = ${dir}/key.pem
smtp_tls_security_level = none
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
default_process_limit = 100
in_flow_delay = 0
`;
}

/** The services of the distribution, smtpd on our port, none in a chroot. */
function masterCf(port: number): string {
  const services = readFileSync(SERVICES, 'utf8').replace(/^(\S+ +\S+ +\S+ +\S+ +)y /gm, '$1n ');
  return services.replace(/^smtp +inet/m, `127.0.0.1:${port} inet`);
}

function isEmpty(queue: string): boolean {
  return ['maildrop', 'incoming', 'active', 'deferred'].every((state) => !holdsFile(join(queue, state)));
}

function holdsFile(folder: string): boolean {
  if (!existsSync(folder)) return false;
  return readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile());
}

const version = (): string =>
  `Postfix ${execFileSync('/usr/sbin/postconf', ['-dh', 'mail_version'], { encoding: 'utf8' }).trim()}`;
