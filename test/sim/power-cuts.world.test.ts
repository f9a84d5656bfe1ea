// Power cuts at some writes and frames of one campaign. All of them take an hour: `can-ota simulate --exhaustive`.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner } from '../../src/sim/episode.ts';
import { powerCuts } from '../../src/sim/power-cuts.ts';

/** Strides between the cuts; they are prime, so that the cuts hit all parts of a transfer. */
const FRAME_STRIDE = 397;
const WRITE_STRIDE = 7;

describe('a power cut', () => {
  it('at a write or frame leaves the vehicle whole', async () => {
    const run = createEpisodeRunner({ imageBytes: 300, sabotage: undefined });
    const { writes, frames, cuts, endings, failed } = await powerCuts({
      seed: 'cuts',
      ecus: ['EDT'],
      singleBank: [],
      runEpisode: run,
      frameStride: FRAME_STRIDE,
      writeStride: WRITE_STRIDE,
      offMs: 100,
    });
    expect(
      failed.map(({ machines, at, result }) => ({ machines, at, violations: result.violations })),
    ).toEqual([]);
    const atWrites = Object.values(writes).map((count) => Math.ceil(count / WRITE_STRIDE));
    const total = atWrites.reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThan(12);
    expect(cuts).toBe(2 * total + 6 * Math.ceil(frames / FRAME_STRIDE));
    expect(Object.values(endings).reduce((sum, count) => sum + count, 0)).toBe(cuts);
    expect(endings.success).toBeGreaterThan(0);
  });

  it('is not looked at when the campaign without one fails', async () => {
    await expect(
      powerCuts({
        ...{ seed: 'x', ecus: ['EDT'], singleBank: [], offMs: 1 },
        runEpisode: async () => ({
          ...{ endings: ['rolledBack'], proofs: 0, violations: [], virtualMs: 0, frames: 0 },
          ...{ digest: '', faults: {} },
        }),
      }),
    ).rejects.toThrow('the campaign without a cut ended as rolledBack');
  });

  it('is made for each machine alone and for all at once, at each write and frame', async () => {
    const seen: string[] = [];
    const report = await powerCuts({
      ...{ seed: 'x', ecus: ['EDT'], singleBank: ['EDT'], offMs: 7 },
      runEpisode: async ({ campaigns, singleBank }) => {
        expect(singleBank).toEqual(['EDT']);
        for (const { fault } of campaigns[0]!.faults) {
          if (fault.category !== 'power') throw new Error(fault.kind);
          expect(fault.offMs).toBe(7);
          seen.push(`${fault.machines.join('+')} ${JSON.stringify(fault.at)}`);
        }
        return {
          ...{ proofs: 1, violations: [], virtualMs: 0, frames: 0, digest: '', faults: {} },
          endings: ['success'],
          first: { writes: { TMU: 2, CGW: 0, EDT: 1, INV: 0, BMS: 0, OBC: 0 }, frames: 2 },
        };
      },
    });
    expect(report).toMatchObject({ cuts: 3 * 2 + 2 * 6, endings: { success: 18 }, failed: [] });
    expect(new Set(seen).size).toBe(18);
    expect(seen).toContain('TMU {"on":"write","machine":"TMU","n":2}');
    expect(seen).toContain('TMU+CGW+EDT+INV+BMS {"on":"frame","n":1}');
  });
});
