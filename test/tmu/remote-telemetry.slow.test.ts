// Telemetry: every sample is counted once, with every fault of the link.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LinkFault, ServicesWorld } from './remote-support.ts';

/** Reads INV.FD40 and EDT.FD01 every 5 s, and uploads every 20 s. */
function world(): ServicesWorld {
  const w = new ServicesWorld();
  w.ecus.values.set('INV.FD40', 48.5);
  w.backend.want({ pollInterval: 5, uploadInterval: 20, dids: ['INV.FD40', 'EDT.FD01'] });
  return w;
}

describe('the store', () => {
  it('brings every sample to the backend exactly once, or counts it as lost', async () => {
    const fault = fc.constantFrom<LinkFault | undefined>('away', 'lost', undefined, undefined);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 10 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
        async (faults, lives) => {
          const w = world();
          w.backend.uploadFaults = [...faults] as LinkFault[];
          for (const seconds of lives) await w.live(seconds * 1000);
          w.backend.uploadFaults = [];
          w.backend.want({});
          await w.live(60_000);
          const counted = w.backend.batches
            .flatMap(({ samples }) => samples)
            .reduce((sum, { count }) => sum + count, 0);
          expect(counted).toBe(w.ecus.reads.length);
          expect(w.backend.lostBatches).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });
});
