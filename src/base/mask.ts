// Keeps keys out of text that is logged, stored or sent on, whoever put them there.

const KEY_SHAPE = /([A-Za-z0-9_-]{22})\.[A-Za-z0-9_-]{43}/g;

/** Octets between the dot of a key and the first character of its id, and the last of its secret. */
const ID_LENGTH = 22;
const SECRET_LENGTH = 43;

/** Blanks the secret of everything that looks like a key: `<id>.<secret>` keeps its id. */
export function maskKeys(text: string): string {
  return mayHoldKey(text) ? text.replace(KEY_SHAPE, '$1.[secret]') : text;
}

/** Every line of the log is looked at: four characters around each dot are enough to pass over nearly all of them. */
function mayHoldKey(text: string): boolean {
  for (let dot = text.indexOf('.', ID_LENGTH); dot >= 0; dot = text.indexOf('.', dot + 1)) {
    const near = isKeyCharacter(text, dot - 1) && isKeyCharacter(text, dot + 1);
    if (near && isKeyCharacter(text, dot - ID_LENGTH) && isKeyCharacter(text, dot + SECRET_LENGTH)) return true;
  }
  return false;
}

/** A-Z a-z 0-9 - _ */
function isKeyCharacter(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  const letter = code | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f;
}

/** A URL, or what was meant as one, without its credentials: all before the last @, and what its query says. */
export function maskUrl(text: string): string {
  return text
    .replace(/^([a-z+]+:\/\/)?.*@/is, '$1********@')
    .replace(/([?&](?!tls=|name=)[^=&]*=)[^&]*/g, '$1********');
}
