// JSON from outside: one limit of depth, which brackets in strings do not count for.

import { describe, expect, it } from 'vitest';
import {
  JsonDepthError,
  MAX_JSON_DEPTH,
  parseJsonBytes,
  parseJsonText,
} from '../../src/core/json.ts';

const nested = (open: string, inner: string, close: string, levels: number): string =>
  open.repeat(levels) + inner + close.repeat(levels);

describe('JSON from outside', () => {
  it('is read as JSON.parse reads it', () => {
    for (const text of ['null', '"[[{"', '{"a":[1,{"b":"\\"]"}]}', ' [ ] ', '1e5', '"\\\\"']) {
      expect(parseJsonText(text)).toEqual(JSON.parse(text));
    }
    for (const text of ['', '{', '"', '"\\', '[1,]', ']', '{"a":"\\"']) {
      expect(() => parseJsonText(text), text).toThrow(SyntaxError);
    }
  });

  it('may be as deep as the limit, and not one level deeper', () => {
    for (const [open, inner, close] of [
      ['[', '1', ']'],
      ['{"a":', '1', '}'],
    ] as const) {
      parseJsonText(nested(open, inner, close, MAX_JSON_DEPTH));
      for (const levels of [MAX_JSON_DEPTH + 1, 2000, 30_000]) {
        const text = nested(open, inner, close, levels);
        expect(() => parseJsonText(text)).toThrow(JsonDepthError);
      }
    }
    expect(() => parseJsonText('['.repeat(4096))).toThrow(JsonDepthError);
  });

  it('does not count what stands beside each other, or in strings', () => {
    const wide = `[${Array(5000).fill('[{}]').join(',')}]`;
    expect(parseJsonText(wide)).toHaveLength(5000);
    const text = JSON.stringify({ note: `"${'['.repeat(100)}\\"${'{'.repeat(100)}` });
    expect(parseJsonText(text)).toEqual(JSON.parse(text));
  });

  it('is UTF-8', () => {
    expect(parseJsonBytes(Buffer.from('"ä"'))).toBe('ä');
    expect(() => parseJsonBytes(Buffer.from([0x22, 0xff, 0x22]))).toThrow(TypeError);
    expect(() => parseJsonBytes(Buffer.from('\ufeff{"a":1}', 'utf16le'))).toThrow();
  });
});
