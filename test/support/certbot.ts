// A folder of certificates as certbot keeps it: links in live/NAME that lead to numbered files in archive/NAME.
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MadePair } from './certificate.js';

export class Certbot {
  /** What `tls.certificates` names. */
  readonly live: string;
  #renewals = 0;

  constructor(private readonly folder: string) {
    this.live = join(folder, 'live');
    mkdirSync(this.live);
    writeFileSync(join(this.live, 'README'), 'This directory contains your keys and certificates.\n');
  }

  /** Issues or renews: new files, then each link in one step. @returns the folder of the links. */
  put(name: string, pair: MadePair): string {
    const [archive, own] = [join(this.folder, 'archive', name), join(this.live, name)];
    for (const folder of [archive, own]) mkdirSync(folder, { recursive: true });
    const number = ++this.#renewals;
    for (const [file, text] of [
      ['privkey', pair.key],
      ['fullchain', pair.cert],
    ] as const) {
      writeFileSync(join(archive, `${file}${number}.pem`), text);
      const link = join(own, `${file}.pem`);
      symlinkSync(`../../archive/${name}/${file}${number}.pem`, `${link}.new`);
      renameSync(`${link}.new`, link);
    }
    if (!existsSync(join(own, 'fullchain.pem'))) throw new Error(`${own} has no certificate`);
    return own;
  }
}
