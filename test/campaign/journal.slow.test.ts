// The journal, cut and damaged anywhere.

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { decodeJournal, encodeRecord } from '../../src/campaign/journal.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { HAPPY } from './support.ts';

const records = HAPPY.map((event, sequence) => ({ sequence, wallMs: 1000 + sequence, event }));
const whole = concatBytes(...records.map(encodeRecord));

describe('records', () => {
  it('of any bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(whole.length), (noise, at) => {
        decodeJournal(concatBytes(whole.subarray(0, at), noise, whole.subarray(at)));
        decodeJournal(noise);
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});
