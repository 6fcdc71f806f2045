// What one dialogue will send: a good session, or what is left of one after mutations, in pieces of any size, with an
// end of any kind. In about half of them mutations stay inside the messages, so that much is accepted and can be compared
// with what is kept. Octets are latin1 text here.
import { SMUGGLED as MAIL_SMUGGLED, WRONG_ENDS } from '../support/wrong-ends.js';
import type { Chance } from './chance.js';

export interface Plan {
  /** In the clear. */
  octets: string;
  /** What follows inside TLS; `octets` then end with STARTTLS and what an attacker puts behind it. */
  secure?: string;
  /** Where the last of them are cut into writes. */
  cuts: number[];
  /** Whether the client waits for the greeting. */
  waits: boolean;
  end: 'FIN' | 'RST';
}

const MILD_PERCENT = 60;

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const SMUGGLED = `${MAIL_SMUGGLED}\r\n.\r\n`;
const SOUP = ['.', '..', '\r\n', '\r\n.', '\r\n..', 'a', 'word ', '\xff\xe9', '\n', '\r', '\r\n\r\n', 'x'.repeat(1000)];
const ODD_OCTETS = ['\0', '\r', '\n', '\r\n', '.', '\r\n.\r\n', ' ', '\t', '<', '>', '\xff', '\x7f', '\x1b', '@', ':'];
const ODD_LINES = [
  ...['NOOP', 'RSET', 'HELP', 'VRFY x', 'EXPN x', 'HELO client.test', 'EHLO client.test', 'QUIT', 'DATA', 'STARTTLS'],
  ...['AUTH', 'AUTH PLAIN', 'AUTH LOGIN', '*', '', ' ', 'BDAT 5 LAST', 'XCLIENT ADDR=127.0.0.1', 'GET / HTTP/1.1'],
  ...['MAIL FROM:<>', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'RCPT TO:<@x:b@example.com>', '.'],
];

export function makePlan(chance: Chance, key: string): Plan {
  const waits = !chance.hit(3);
  const end = chance.hit(20) ? 'RST' : 'FIN';
  if (chance.hit(8)) {
    const before = chance.hit(50) ? ['EHLO client.test\r\n'] : ['EHLO client.test\r\n', ...logIn(chance, key)];
    const octets = `${before.join('')}STARTTLS\r\n${chance.hit(70) ? chance.pick(['NOOP\r\n', SMUGGLED, 'EH']) : ''}`;
    const secure = mutated(chance, key);
    return { octets, secure, cuts: cutsOf(chance, secure), waits: true, end };
  }
  const octets = mutated(chance, key);
  return { octets, cuts: cutsOf(chance, octets), waits, end };
}

function mutated(chance: Chance, key: string): string {
  if (chance.hit(MILD_PERCENT)) return mildlyMutated(chance, key);
  let pieces = session(chance, key);
  for (const mutate of chance.some(2, () => chance.pick(LINE_MUTATIONS))) pieces = mutate(chance, pieces);
  let octets = pieces.join('');
  for (const mutate of chance.some(2, () => chance.pick(OCTET_MUTATIONS))) octets = mutate(chance, octets);
  return chance.hit(15) ? octets.slice(0, chance.below(octets.length + 1)) : octets;
}

/** Every command is right; the messages were struck, so that one may end early and the rest of it is commands. */
function mildlyMutated(chance: Chance, key: string): string {
  const messages = Array.from({ length: 1 + chance.below(3) }, () => {
    const parameters = chance.pick(['', ' SIZE=100', ' BODY=8BITMIME SMTPUTF8', ' RET=HDRS ENVID=a']);
    const recipients = chance.pick(['<b@example.com>', '<"d e"@example.com> NOTIFY=NEVER']);
    let message = header(chance) + body(chance);
    for (const mutate of chance.some(3, () => chance.pick(OCTET_MUTATIONS))) message = mutate(chance, message);
    return `MAIL FROM:<a@example.com>${parameters}\r\nRCPT TO:${recipients}\r\nDATA\r\n${message}\r\n.\r\n`;
  });
  return ['EHLO client.test\r\n', ...logIn(chance, key, key), ...messages].join('');
}

/** Lines and bodies, one a piece. */
function session(chance: Chance, key: string): string[] {
  const hello = chance.hit(90) ? 'EHLO client.test\r\n' : 'HELO [127.0.0.1]\r\n';
  const messages = Array.from({ length: 1 + chance.below(3) }, () => transaction(chance)).flat();
  const quit = chance.hit(50) ? ['QUIT\r\n'] : [];
  return [hello, ...(chance.hit(92) ? logIn(chance, key) : []), ...messages, ...quit];
}

function logIn(chance: Chance, key: string, shown = chance.hit(90) ? key : `${key}x`): string[] {
  const plain = base64(`\0apikey\0${shown}`);
  return chance.pick([
    [`AUTH PLAIN ${plain}\r\n`],
    ['AUTH PLAIN\r\n', `${plain}\r\n`],
    ['AUTH LOGIN\r\n', `${base64('apikey')}\r\n`, `${base64(key)}\r\n`],
  ]);
}

function transaction(chance: Chance): string[] {
  const parameters = chance.pick(['', '', ' SIZE=100', ' BODY=8BITMIME', ' SMTPUTF8', ' SIZE=x', ' RET=HDRS ENVID=a']);
  const recipients = ['b@example.com', 'c@example.com', '"d e"@example.com', 'nowhere', 'b@[127.0.0.1]'];
  return [
    `MAIL FROM:<${chance.pick(['a@example.com', 'app@example.org', ''])}>${parameters}\r\n`,
    ...Array.from({ length: 1 + chance.below(3) }, () => `RCPT TO:<${chance.pick(recipients)}>\r\n`),
    'DATA\r\n',
    `${header(chance)}${body(chance)}\r\n.\r\n`,
  ];
}

function header(chance: Chance): string {
  return chance.pick([
    ...[
      '',
      '\r\n',
      'no header\r\n',
      'From: a@example.com\r\nSubject: one\r\n\r\n',
      'Subject: folded\r\n\tline\r\n\r\n',
    ],
    'Message-ID: <m@example.com>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n',
  ]);
}

function body(chance: Chance): string {
  const soup = chance.some(12, () => chance.pick(SOUP)).join('');
  const wrong = chance.hit(25) ? `${chance.pick(WRONG_ENDS)}${SMUGGLED}` : '';
  return soup + wrong + (chance.hit(3) ? 'big line '.repeat(chance.below(60_000)) : '');
}

type LineMutation = (chance: Chance, pieces: string[]) => string[];

const LINE_MUTATIONS: LineMutation[] = [
  (chance, pieces) => pieces.toSpliced(chance.below(pieces.length), 1),
  (chance, pieces) => pieces.toSpliced(chance.below(pieces.length), 0, chance.pick(pieces)),
  (chance, pieces) => pieces.toSpliced(chance.below(pieces.length), 0, `${chance.pick(ODD_LINES)}\r\n`),
  (chance, pieces) => pieces.toSpliced(chance.below(pieces.length), 1, chance.pick(pieces)),
  (chance, pieces) => pieces.toSpliced(chance.below(pieces.length), 0, ...pieces.slice(chance.below(pieces.length))),
  (chance, pieces) => {
    const length = chance.pick([509, 510, 511, 512, 12_285, 12_286, 12_287, 12_288, 30_000]);
    return pieces.toSpliced(chance.below(pieces.length), 0, `${'NOOP '.padEnd(length, 'x')}\r\n`);
  },
];

type OctetMutation = (chance: Chance, octets: string) => string;

const OCTET_MUTATIONS: OctetMutation[] = [
  (chance, octets) => splice(octets, chance.below(octets.length), 1, String.fromCharCode(chance.below(256))),
  (chance, octets) => splice(octets, chance.below(octets.length), 0, chance.pick(ODD_OCTETS)),
  (chance, octets) => splice(octets, chance.below(octets.length), 1 + chance.below(4), ''),
  (chance, octets) => splice(octets, chance.below(octets.length), 0, chance.pick(WRONG_ENDS) + SMUGGLED),
  (chance, octets) => splice(octets, Math.max(0, octets.indexOf('\r', chance.below(octets.length))), 1, ''),
  (chance, octets) => splice(octets, Math.max(0, octets.indexOf('\n', chance.below(octets.length))), 1, ''),
];

const splice = (text: string, at: number, gone: number, put: string): string =>
  text.slice(0, at) + put + text.slice(at + gone);

/** Often none: all in one packet. Sometimes around every line end. */
function cutsOf(chance: Chance, octets: string): number[] {
  if (chance.hit(15))
    return [...octets.matchAll(/\r|\n|\./g)].slice(0, 200).map(({ index }) => index + chance.below(2));
  return chance.some(10, () => chance.below(octets.length + 1)).sort((a, b) => a - b);
}
