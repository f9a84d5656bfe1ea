// DID FD03: 48 bytes, and everything that is no state of an unfinished download.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { decodeResumeState, encodeResumeState } from '../../src/uds/resume-state.ts';

const SHA256 = 'ab'.repeat(32);
const state = { sha256: SHA256, received: 4096, total: 9000, carried: 4166, crc32: 0xcafe_0001 };

describe('the resume state', () => {
  it('is these bytes, there and back', () => {
    const bytes = encodeResumeState(state);
    expect(toHex(bytes)).toBe(`${SHA256}000010000000232800001046cafe0001`);
    expect(decodeResumeState(bytes)).toEqual(state);
    // Also as a part of a longer message.
    const message = fromHex(`62fd03${toHex(bytes)}`);
    expect(decodeResumeState(message.subarray(3))).toEqual(state);
  });

  it.each([
    ['nothing received', { received: 0 }],
    ['everything received', { received: 9000, carried: 9000 }],
    ['more than there is', { received: 9001, carried: 9001 }],
    ['less carried than received', { carried: 4095 }],
  ])('with %s is none', (_what, change) => {
    expect(decodeResumeState(encodeResumeState({ ...state, ...change }))).toBeUndefined();
  });

  it.each([0, 5, 47, 49])('of %i bytes is another format', (length) => {
    expect(decodeResumeState(new Uint8Array(length).fill(1))).toBeUndefined();
  });
});
