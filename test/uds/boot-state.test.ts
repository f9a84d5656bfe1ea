// FD00 as bytes: each field in its place, and every byte that is none of it refused.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { type BootState, decodeBootState, encodeBootState } from '../../src/uds/boot-state.ts';

const STATES: readonly (readonly [string, BootState])[] = [
  [
    '0000000000',
    {
      ...{ activeBank: 0, mode: 'confirmed', inactive: 'empty' },
      ...{ activationPending: false, trialBootsLeft: 0 },
    } as BootState,
  ],
  [
    '0101020103',
    {
      ...{ activeBank: 1, mode: 'trial', inactive: 'valid' },
      ...{ activationPending: true, trialBootsLeft: 3 },
    } as BootState,
  ],
  [
    '0002010000',
    {
      ...{ activeBank: 0, mode: 'recovery', inactive: 'receiving' },
      ...{ activationPending: false, trialBootsLeft: 0 },
    } as BootState,
  ],
];

describe('the boot state', () => {
  it.each(STATES)('%s', (hex, state) => {
    expect(toHex(encodeBootState(state))).toBe(hex);
    expect(decodeBootState(fromHex(hex))).toEqual(state);
  });

  it.each([
    ['01010201', 'too short'],
    ['010102010300', 'too long'],
    ['0103020103', 'no such mode'],
    ['0101030103', 'no such content'],
    ['0101020203', 'neither pending nor not'],
  ])('%s is none: %s', (hex) => {
    expect(decodeBootState(fromHex(hex))).toBeUndefined();
  });
});
