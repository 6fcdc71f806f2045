// Replies as octets (RFC 5321 4.2 and 4.5.3.1.5): one line each, whatever stands in the text, and never one too long.
import { replyText } from '../../src/accept/smtp/reply-text.js';
import { fc } from '../support/properties.js';

it('makes one line, or a line for each of several with a hyphen before the last', () => {
  expect(replyText(250, '2.1.0', 'Ok')).toBe('250 2.1.0 Ok\r\n');
  expect(replyText(250, '', ['postern.test', 'SIZE 1', 'DSN'])).toBe('250-postern.test\r\n250-SIZE 1\r\n250 DSN\r\n');
});

it('cuts a line at 512 octets with its CRLF, between characters', () => {
  for (const letter of ['x', 'ü', '語', '😀'])
    for (let shift = 0; shift < 4; shift++) {
      const line = replyText(550, '5.1.1', 'y'.repeat(shift) + letter.repeat(600));
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(512);
      expect(Buffer.byteLength(line)).toBeGreaterThan(512 - Buffer.byteLength(letter));
      expect(line).toMatch(new RegExp(`^550 5\\.1\\.1 y*(${letter})+\r\n$`));
    }
});

it('lets no text end a line, begin another or steer a terminal', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 4 }), (texts) => {
      const lines = replyText(250, '2.0.0', texts).split('\r\n');
      expect(lines.pop()).toBe('');
      expect(lines).toHaveLength(texts.length);
      for (const line of lines) expect(line).toMatch(/^250[ -]2\.0\.0 [^\u0000-\u001F\u007F-\u009F]*$/);
    }),
  );
});
