// Keeps keys out of text that is logged, stored or sent on, whoever put them there.

const KEY_SHAPE = /([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}/g;

/** Blanks the secret of everything that looks like a key: `<id>.<secret>` keeps its id. */
export function maskKeys(text: string): string {
  return text.replace(KEY_SHAPE, '$1.[secret]');
}

/** A URL, or what was meant as one, without its credentials: all before the last @, and what its query says. */
export function maskUrl(text: string): string {
  return text
    .replace(/^([a-z+]+:\/\/)?.*@/is, '$1********@')
    .replace(/([?&](?!tls=|name=)[^=&]*=)[^&]*/g, '$1********');
}
