// The backend damages or delays the chunks that it sends, as `can-ota server --fault` does.

import { CHUNK_FAULT_NAMES, type ChunkFault } from '../../contract/chunked/faults.ts';
import { otaChunk } from '../../contract/endpoints/small-devices/chunk.ts';
import { type FaultModule, faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface SpoiltChunks {
  readonly category: 'backend';
  readonly kind: ChunkFault;
  readonly at: Trigger;
  readonly rate: number;
  readonly forMs: number;
}

/** Longer than any client waits for an answer. */
const LATE_MS = 60_000;

export const CHUNK_MODULES = CHUNK_FAULT_NAMES.map(spoiltChunks);

function spoiltChunks(kind: ChunkFault): FaultModule<SpoiltChunks> {
  return faultModule<SpoiltChunks>({
    category: 'backend',
    kind,
    draw(draw) {
      const rate = draw.chance(0.3) ? 1 : draw.between(1, 50) / 100;
      const at: Trigger = draw.chance(0.7)
        ? { on: 'state', state: 'downloading', delayMs: draw.between(0, 200) }
        : { on: 'time', ms: 0 };
      return { category: 'backend', kind, at, rate, forMs: draw.between(50, 60_000) };
    },
    fire({ rate, forMs }, { server, random, mend, exchanges }) {
      // Virtual time stands still while the server works, so the delay is put into the network.
      if (kind === 'timeout') {
        const late = exchanges(
          ({ path }) =>
            path === otaChunk.path && random.fraction() < rate
              ? { kind: 'delay', ms: LATE_MS }
              : undefined,
          'others',
        );
        mend(forMs, () => late.end());
        return;
      }
      const { chunkFaults } = server;
      chunkFaults[kind] = rate;
      mend(forMs, () => {
        delete chunkFaults[kind];
      });
    },
  });
}
