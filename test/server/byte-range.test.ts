// Ranges of RFC 9110 14.2 and the comparison of entity tags.

import { describe, expect, it } from 'vitest';
import { matchesEtag, planRange, sendsEverything } from '../../server/platform/http/byte-range.ts';

const ETAG = '"abc"';

describe('planRange of 100 bytes', () => {
  it.each([
    [undefined, { kind: 'whole' }],
    ['bytes=0-', { kind: 'part', start: 0, end: 99 }],
    ['bytes=40-', { kind: 'part', start: 40, end: 99 }],
    ['bytes=40-49', { kind: 'part', start: 40, end: 49 }],
    ['bytes=40-1000', { kind: 'part', start: 40, end: 99 }],
    ['bytes=99-', { kind: 'part', start: 99, end: 99 }],
    ['bytes=-10', { kind: 'part', start: 90, end: 99 }],
    ['bytes=-1000', { kind: 'part', start: 0, end: 99 }],
    ['bytes=100-', { kind: 'unsatisfiable' }],
    ['bytes=-0', { kind: 'unsatisfiable' }],
    // 14.2: what is not understood is ignored
    ['bytes=50-40', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['bytes=a-b', { kind: 'whole' }],
    ['lines=1-2', { kind: 'whole' }],
    ['bytes=0-1,3-4', { kind: 'whole' }],
    ['bytes=99999999999999999999-', { kind: 'whole' }],
  ])('%s', (range, plan) => {
    expect(planRange(range, undefined, ETAG, 100)).toEqual(plan);
  });

  it('ignores the range when If-Range names other content, a weak tag or a date', () => {
    expect(planRange('bytes=1-', ETAG, ETAG, 100).kind).toBe('part');
    for (const ifRange of ['"other"', `W/${ETAG}`, 'Sat, 21 Nov 2026 01:36:16 GMT']) {
      expect(planRange('bytes=1-', ifRange, ETAG, 100).kind).toBe('whole');
    }
  });

  it('knows what sends every byte', () => {
    for (const range of [undefined, 'bytes=0-', 'bytes=0-99', 'bytes=-100', 'bytes=0-1,2-3']) {
      expect(sendsEverything(planRange(range, undefined, ETAG, 100), 100)).toBe(true);
    }
    for (const range of ['bytes=1-', 'bytes=0-98', 'bytes=-99']) {
      expect(sendsEverything(planRange(range, undefined, ETAG, 100), 100)).toBe(false);
    }
  });
});

describe('matchesEtag', () => {
  it.each([
    [undefined, false],
    ['', false],
    [ETAG, true],
    [`W/${ETAG}`, true],
    ['*', true],
    [`"x", ${ETAG}`, true],
    ['abc', false],
    ['"abcd"', false],
  ])('%s', (header, expected) => {
    expect(matchesEtag(header, ETAG)).toBe(expected);
  });
});
