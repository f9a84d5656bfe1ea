// JSON in which one text has one meaning: everything on which two readers could disagree is refused.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { field, parseJson } from '../../../src/trust/strict-json.ts';

function parse(text: string | Uint8Array, nfc = true) {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return parseJson(bytes, 'targets', { nfc });
}

/** A value without anything that metadata may not hold. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger().map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.string({ unit: 'grapheme' }).map((text) => text.normalize('NFC')),
    fc.array(tie('any')),
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).map((name) => name.normalize('NFC')),
      tie('any'),
      { noNullPrototype: true },
    ),
  ),
})).any;

describe('strict JSON', () => {
  it('reads what JSON.parse reads, however it is written', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1, '\t'), (input, indent) => {
        const text = JSON.stringify(input, null, indent);
        fc.pre(!text.includes('"__proto__"'));
        const verdict = parse(text);
        expect(verdict).toStrictEqual({ ok: true, value: JSON.parse(text) });
      }),
    );
  });

  it('never throws and takes nothing that JSON.parse refuses', () => {
    const nearly = fc.stringMatching(/^[{}[\]",:\\ue0-9a-fnrtlsx \n.+-]{0,30}$/);
    fc.assert(
      fc.property(nearly, (text) => {
        const verdict = parse(text);
        if (verdict.ok) expect(verdict.value).toStrictEqual(JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a name twice', '{"a":1,"b":2,"a":1}', 'the name "a" appears twice'],
    ['a name twice, once escaped', '{"a":1,"\\u0061":2}', 'the name "a" appears twice'],
    ['a fraction', '{"version":1.5}', 'the number 1.5 is not whole and exact'],
    ['a whole number with a point', '1.0', 'not whole and exact'],
    ['an exponent', '1e3', 'not whole and exact'],
    ['minus zero', '-0', 'not whole and exact'],
    ['a leading zero', '01', 'text after the end'],
    ['a number beyond 2^53', '9007199254740993', 'not whole and exact'],
    ['half a surrogate pair', '"\\ud83d"', 'half of a surrogate pair'],
    ['the name that is no field', '{"__proto__":{"ok":true}}', 'the name __proto__'],
    ['a byte order mark', '\ufeff{}', 'a value expected'],
    ['a second value', '{} {}', 'text after the end'],
    ['a comma too many', '[1,]', 'a value expected'],
    ['a control character', '"\u0001"', 'a damaged string'],
    ['an unknown escape', '"\\x41"', 'a damaged string'],
    ['no end of a string', '"abc\\"', 'a damaged string'],
    ['nothing', '', 'a value expected'],
    ['a word', 'True', 'a value expected'],
  ])('refuses %s', (_, text, message) => {
    expect(parse(text)).toMatchObject({ ok: false, code: 'MALFORMED', where: 'targets' });
    expect(parse(text)).toHaveProperty('reason', expect.stringContaining(message));
  });

  it('refuses damaged UTF-8 where a lenient decoder would put a question mark', () => {
    expect(parse(Uint8Array.of(0x22, 0xc3, 0x22))).toMatchObject({ reason: 'is not UTF-8 text' });
  });

  it('wants Normalization Form C where it is asked for, in names as in values', () => {
    const decomposed = 'e\u0301';
    expect(parse(`{"${decomposed}":1}`)).toMatchObject({ code: 'MALFORMED' });
    expect(parse('["e\\u0301"]')).toMatchObject({ code: 'MALFORMED' });
    expect(parse('["\u00e9"]')).toEqual({ ok: true, value: ['\u00e9'] });
    expect(parse(`["${decomposed}"]`, false)).toEqual({ ok: true, value: [decomposed] });
  });

  it('refuses depth before it costs a stack', () => {
    expect(parse('['.repeat(1_000_000))).toMatchObject({ code: 'MALFORMED' });
    expect(parse('{"a":'.repeat(1_000_000))).toMatchObject({ code: 'MALFORMED' });
    expect(parse(`${'['.repeat(60)}${']'.repeat(60)}`).ok).toBe(true);
  });

  it('knows own fields only', () => {
    expect(field({ a: 1 }, 'a')).toBe(1);
    expect(field({ a: 1 }, 'constructor')).toBeUndefined();
    expect(field([1], '0')).toBeUndefined();
    expect(field(null, 'a')).toBeUndefined();
  });
});
