// Characters that end a line for somebody, or that nobody can see. None of them gets from a request into a header field.

const CONTROLS = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]/;
const ALL_CONTROLS = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]+/g;

/** CR, LF, NUL, NEL (U+0085), LS and PS (U+2028, U+2029) and all other control characters. */
export const hasControls = (text: string): boolean => CONTROLS.test(text);

/** Lone surrogates, which no encoding has, become U+FFFD. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\uFFFD');

/** Text for people, a subject or a name, as one line. */
export const oneLine = (text: string): string => wellFormed(text.replace(ALL_CONTROLS, ' ').trim());
