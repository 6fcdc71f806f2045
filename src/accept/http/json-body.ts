// JSON as it comes in, piece by piece, so that nobody waits while 30 MB are made text and parsed. Promise: the value is
// that of JSON.parse, whatever the pieces are; only long texts of attachments stay apart from it, for they need not be
// whole. What is not a text, such as millions of numbers, is parsed in one go at the end.
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { Octets } from '../../base/octets.js';

/** A body that has no more is simply parsed. */
const BLOCK = 65_536;
/** Longer texts are set apart. */
const SHORT = 16_384;

export class NotUtf8 extends Error {
  override readonly name = 'NotUtf8';
}

export interface JsonBody {
  value: unknown;
  /** Long contents of attachments, in pieces; in the value stands the key, which no client can know. */
  longTexts: ReadonlyMap<string, readonly string[]>;
}

/** Short stretches of JSON are kept as they came; strings that do not end in their block are decoded and set apart. */
export class JsonReader {
  readonly #octets = new Octets();
  #blocks = 0;
  #isUtf8 = true;
  #isValid = true;
  /** What has been read: JSON, and decoded strings that stand behind it. */
  readonly #parts: { json: string; text: readonly string[] }[] = [];
  #json = '';
  /** The pieces of the string that is being read. */
  #open: string[] | undefined;
  /** The beginning of an escape in it. */
  #carry = '';

  /** @param blockBytes octets that are looked at in one go. @param shortLength of texts that are not set apart. */
  constructor(
    private readonly blockBytes = BLOCK,
    private readonly shortLength = SHORT,
  ) {}

  append(octets: Buffer): void {
    this.#octets.append(octets);
    if (this.#octets.length >= this.blockBytes) this.#takeBlock();
  }

  /** @throws NotUtf8, or SyntaxError as JSON.parse does. */
  end(): JsonBody {
    const isOnly = this.#blocks === 0;
    const last = this.#textOf(this.#octets.take());
    if (!this.#isUtf8) throw new NotUtf8();
    if (isOnly) return { value: JSON.parse(last), longTexts: new Map() };
    this.#scan(last);
    if (!this.#isValid || this.#open) throw new SyntaxError('a string is broken');
    const key = randomUUID();
    const texts = new Map(this.#parts.map(({ text }, index) => [`${key}.${index}`, text]));
    const value = this.#parse([...texts.keys()]);
    const contents = new Set(attachmentContents(value));
    const longTexts = new Map([...texts].filter(([name]) => contents.has(name)));
    if (longTexts.size === texts.size) return { value, longTexts };
    return { value: this.#parse([...texts.keys()].map((name) => (longTexts.has(name) ? name : undefined))), longTexts };
  }

  /** @param names that stand in for the texts; a text without one is put back. */
  #parse(names: (string | undefined)[]): unknown {
    const parts = this.#parts.map(({ json, text }, index) => json + JSON.stringify(names[index] ?? text.join('')));
    return JSON.parse(parts.join('') + this.#json);
  }

  #takeBlock(): void {
    const octets = this.#octets.take();
    const whole = wholeCharacters(octets);
    const text = this.#textOf(octets.subarray(0, whole));
    this.#octets.append(octets.subarray(whole));
    if (this.#isUtf8) this.#scan(text);
  }

  #textOf(octets: Buffer): string {
    if (!isUtf8(octets)) this.#isUtf8 = false;
    if (!this.#isUtf8) return '';
    return this.#blocks++ > 0 ? octets.toString() : octets.toString().replace(/^\uFEFF/, '');
  }

  #scan(came: string): void {
    const text = this.#carry + came;
    this.#carry = '';
    let kept = 0;
    if (this.#open) {
      const end = endOfString(text, 0);
      this.#extend(this.#open, end < 0 ? text : text.slice(0, end));
      if (end < 0) return;
      this.#close(this.#open);
      kept = end + 1;
    }
    const start = openString(text, kept);
    this.#json += text.slice(kept, start);
    if (start === text.length) return;
    this.#open = [];
    this.#extend(this.#open, text.slice(start + 1));
  }

  #extend(pieces: string[], raw: string): void {
    const whole = wholeEscapes(raw);
    this.#carry = raw.slice(whole);
    try {
      pieces.push(JSON.parse(`"${raw.slice(0, whole)}"`) as string);
    } catch {
      this.#isValid = false;
    }
  }

  #close(pieces: string[]): void {
    this.#open = undefined;
    if (this.#carry) this.#isValid = false;
    this.#carry = '';
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length <= this.shortLength) {
      this.#json += JSON.stringify(pieces.join(''));
      return;
    }
    this.#parts.push({ json: this.#json, text: pieces });
    this.#json = '';
  }
}

function attachmentContents(value: unknown): unknown[] {
  const { attachments } = (value ?? {}) as { attachments?: unknown };
  return Array.isArray(attachments) ? attachments.map((each) => (each as { content?: unknown } | null)?.content) : [];
}

/** Where the string begins that does not end in `text`, which is looked at from `at`; otherwise the length of it. */
function openString(text: string, at: number): number {
  for (;;) {
    const start = text.indexOf('"', at);
    if (start < 0) return text.length;
    const end = endOfString(text, start + 1);
    if (end < 0) return start;
    at = end + 1;
  }
}

/** The index of the quote behind a string that has begun, or -1. A quote is escaped behind an odd number of backslashes. */
function endOfString(text: string, from: number): number {
  for (let quote = text.indexOf('"', from); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = quote;
    while (backslashes > from && text.charCodeAt(backslashes - 1) === 0x5c) backslashes--;
    if ((quote - backslashes) % 2 === 0) return quote;
  }
  return -1;
}

/** How much of `text` is without the escape that it cuts off at its end. */
function wholeEscapes(text: string): number {
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', at + 2)) {
    if (at + (text[at + 1] === 'u' ? 6 : 2) > text.length) return at;
  }
  return text.length;
}

/** How many octets are without the character that they cut off at their end (RFC 3629 3). */
function wholeCharacters(octets: Buffer): number {
  for (let back = 1; back <= Math.min(3, octets.length); back++) {
    const octet = octets[octets.length - back]!;
    if (octet < 0x80) return octets.length;
    if (octet < 0xc0) continue;
    const needed = octet >= 0xf0 ? 4 : octet >= 0xe0 ? 3 : 2;
    return needed > back ? octets.length - back : octets.length;
  }
  return octets.length;
}
