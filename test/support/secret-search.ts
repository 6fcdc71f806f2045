// Every server of the tests is overheard: what it says is searched for keys and for its pepper when it stops.

const KEY_TEXT = /[\w-]{22}\.[\w-]{43}(?![\w-])/;

/** @throws when `said` holds text with the shape of a key, or one of `secrets`; the error does not repeat it. */
export function expectNoSecrets(where: string, said: string, secrets: string[] = []): void {
  const key = KEY_TEXT.exec(said);
  if (key) throw new Error(`${where} holds a key: ${said.slice(Math.max(0, key.index - 200), key.index)}...`);
  for (const secret of secrets) {
    const at = said.indexOf(secret);
    if (at >= 0) throw new Error(`${where} holds a secret: ${said.slice(Math.max(0, at - 200), at)}...`);
  }
}
