// Substitution tags and section tags in the text of a message. One pass, from the left, the longest tag first: what was
// put in for a tag is not searched for further substitution tags. Promise: time and memory are bounded by `maxBytes`,
// however often a tag occurs and however long its value is.

/** Characters of a text that may have tags: a search cannot be interrupted. */
const MAX_SEARCHED = 2_097_152;

/** Thrown when the result would be longer than allowed. */
export class TooLong extends Error {
  override readonly name = 'TooLong';
}

export type Tags = Readonly<Record<string, string>>;

/** @throws TooLong when the text is too long to be searched, or would have more characters than `maxLength`. */
export type Substitute = (text: string) => string;

/** @param sections are put in afterwards: their tags stand in substitution values as well as in the text. */
export function substituter(substitutions: Tags, sections: Tags, maxLength: number): Substitute {
  const first = replacer(substitutions, maxLength);
  const second = replacer(sections, maxLength);
  return (text) => second(first(text));
}

function replacer(tags: Tags, maxLength: number): Substitute {
  const values = new Map(Object.entries(tags).filter(([tag]) => tag !== ''));
  if (values.size === 0) return (text) => text;
  const longestFirst = [...values.keys()].sort((a, b) => b.length - a.length);
  const anyTag = new RegExp(longestFirst.map(escaped).join('|'), 'g');
  return (text) => {
    if (text.length > MAX_SEARCHED) throw new TooLong(`tags in more than ${MAX_SEARCHED} characters`);
    let length = text.length;
    return text.replace(anyTag, (tag) => {
      const value = values.get(tag) ?? '';
      length += value.length - tag.length;
      if (length > maxLength) throw new TooLong(`more than ${maxLength} characters`);
      return value;
    });
  };
}

const escaped = (tag: string): string => tag.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
