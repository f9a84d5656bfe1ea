// The record beside a bank, with a change of any byte.

import { describe, expect, it } from 'vitest';
import { codeOf, record } from './image-header-support.ts';

describe('a bank record', () => {
  it('does not stand a change of any byte', () => {
    const survivors: string[] = [];
    for (let at = 0; at < record.length; at++) {
      const changed = Uint8Array.from(record);
      changed[at]! ^= 1;
      if (codeOf(changed) !== 'accepted') continue;
      survivors.push(Buffer.from(record.subarray(at - 12, at + 12)).toString());
    }
    expect(survivors).toEqual([]);
  });
});
