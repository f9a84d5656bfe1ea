// Text for logs, pages and terminals: nothing in it controls what shows it.

import { describe, expect, it } from 'vitest';
import { cleanLine, isSafeLine, isSafeText, lineText } from '../../src/core/text.ts';

const UNSAFE = {
  bell: '\u0007',
  escape: '\u001b',
  delete: '\u007f',
  'C1 control sequence': '\u009b',
  'left-to-right mark': '\u200e',
  'Arabic letter mark': '\u061c',
  'right-to-left override': '\u202e',
  'first strong isolate': '\u2068',
  'line separator': '\u2028',
  'byte order mark': '\ufeff',
  'half a pair': '\ud800',
};

describe('a line', () => {
  it.each(Object.entries(UNSAFE))('has no %s', (_name, character) => {
    expect(isSafeLine(`a${character}b`)).toBe(false);
    expect(isSafeText(`a${character}b`)).toBe(false);
    expect(cleanLine(` a${character}${character}b${character}`)).toBe('a b');
    expect(lineText(9).parse(`a${character}b`)).toBe('a b');
  });

  it('may hold the letters of every language, and emoji that are joined', () => {
    for (const text of ['Grüße', 'прошивка', 'مرحبا', 'שלום', 'हिन्दी', '👩‍🔧', 'e\u0301', '']) {
      expect(isSafeLine(text), text).toBe(true);
      expect(cleanLine(text)).toBe(text);
    }
  });

  it('has no line breaks and tabs, which text of several lines may have', () => {
    for (const character of ['\n', '\r\n', '\t']) {
      expect(isSafeLine(`a${character}b`)).toBe(false);
      expect(isSafeText(`a${character}b`)).toBe(true);
    }
  });
});
