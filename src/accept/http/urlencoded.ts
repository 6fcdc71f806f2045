// A form as application/x-www-form-urlencoded (WHATWG URL 5.1), read from its octets as they come, with work and memory in
// proportion to them. A field is octets: a file may be one, and need not be UTF-8.
import { Octets } from '../../base/octets.js';

const [PERCENT, AMPERSAND, PLUS, EQUALS, BLANK] = [0x25, 0x26, 0x2b, 0x3d, 0x20];
const ESCAPE_LENGTH = 3;

export class UrlencodedReader {
  readonly #name = new Octets();
  readonly #value = new Octets();
  #isValue = false;
  /** The beginning of an escape at the end of what came. */
  #carry: Buffer = Buffer.alloc(0);

  /** @param onField is called at the end of each field that has a name. */
  constructor(private readonly onField: (name: Buffer, value: Buffer) => void) {}

  append(octets: Buffer): void {
    const all = this.#carry.length > 0 ? Buffer.concat([this.#carry, octets]) : octets;
    const cut = all.indexOf(PERCENT, Math.max(0, all.length - ESCAPE_LENGTH + 1));
    this.#carry = cut < 0 ? Buffer.alloc(0) : all.subarray(cut);
    this.#read(cut < 0 ? all : all.subarray(0, cut));
  }

  end(): void {
    this.#read(this.#carry);
    this.#endField();
  }

  #read(octets: Buffer): void {
    const decoded = Buffer.allocUnsafe(octets.length);
    let [start, length] = [0, 0];
    const keep = (): void => {
      (this.#isValue ? this.#value : this.#name).append(decoded.subarray(start, length));
      start = length;
    };
    for (let at = 0; at < octets.length; at++) {
      const octet = octets[at]!;
      if (octet === AMPERSAND) {
        keep();
        this.#endField();
      } else if (octet === EQUALS && !this.#isValue) {
        keep();
        this.#isValue = true;
      } else if (octet === PERCENT) {
        const escaped = hexValue(octets[at + 1]) * 16 + hexValue(octets[at + 2]);
        // What is no escape stands for itself.
        if (escaped >= 0) at += 2;
        decoded[length++] = escaped >= 0 ? escaped : octet;
      } else {
        decoded[length++] = octet === PLUS ? BLANK : octet;
      }
    }
    keep();
  }

  #endField(): void {
    const [name, value] = [this.#name.take(), this.#value.take()];
    this.#isValue = false;
    if (name.length > 0) this.onField(name, value);
  }
}

/** NaN for what is no digit. */
function hexValue(octet = 0): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : NaN;
}
