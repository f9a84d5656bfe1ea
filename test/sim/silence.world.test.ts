// Normal traffic resumes after faults that hit exactly while a campaign holds the bus silent and telemetry is read every
// second. The moments are looked up in a run without the fault, so that they stay right when frames are added elsewhere.

import { describe, expect, it } from 'vitest';
import { createEpisodeRunner, type EpisodeResult } from '../../src/sim/episode.ts';
import type { Fault } from '../../src/sim/faults/catalogue.ts';
import type { Trigger } from '../../src/sim/faults/trigger.ts';
import type { EpisodePlan } from '../../src/sim/scenario.ts';

/** Functional 28: normal communication off, and on again. */
const OFF = '7DF#03288101';
const ON = '7DF#03288001';
/** Functional 10: default session, the last request of a restoration. */
const DEFAULT = '7DF#021081';
/** A frame of INV's normal traffic, every 100 ms. */
const TRAFFIC = '120#';

/** Telemetry from INV every second while EDT is updated: each reading restarts S3 of INV. */
const configure: Fault = {
  category: 'services',
  kind: 'configure',
  at: { on: 'time', ms: 0 },
  pollInterval: 1,
  uploadInterval: 5,
  dids: 1,
};

function planOf(faults: readonly Fault[]): EpisodePlan {
  return {
    seed: 'silence',
    episode: 0,
    vehicles: 1,
    singleBank: [],
    chunked: false,
    otherMake: null,
    smallDevice: false,
    campaigns: [
      {
        number: 1,
        ecus: ['EDT'],
        faults: [configure, ...faults].map((fault) => ({ vehicle: 0, fault })),
        forced: false,
        encrypted: false,
        proof: ['BMS'],
      },
    ],
  };
}

interface Played {
  readonly result: EpisodeResult;
  /** Seconds and `120#007B...`, in order. */
  readonly frames: readonly (readonly [atS: number, frame: string])[];
}

async function play(...faults: readonly Fault[]): Promise<Played> {
  const frames: [number, string][] = [];
  const run = createEpisodeRunner({
    imageBytes: 4000,
    sabotage: undefined,
    trace: (line) => {
      const [, at, frame] = /^\((\S+)\) sim0 (\S+)$/.exec(line)!;
      frames.push([Number(at), frame!]);
    },
  });
  return { result: await run(planOf(faults)), frames };
}

/** The number of the first frame of the campaign that begins so, as faults count frames. */
function numberOf({ frames }: Played, start: string): number {
  const index = frames.findIndex(([, frame]) => frame.startsWith(start));
  if (index < 0) throw new Error(`${start} was not on the bus`);
  return index + 1;
}

/** The longest pause between two frames of INV's normal traffic. */
function longestSilenceMs({ frames }: Played): number {
  const times = frames.filter(([, frame]) => frame.startsWith(TRAFFIC)).map(([at]) => at);
  return 1000 * Math.max(...times.slice(1).map((at, index) => at - times[index]!));
}

const at = (n: number): Trigger => ({ on: 'frame', n });
const cut = (n: number, offMs: number): Fault => ({
  category: 'power',
  kind: 'cut',
  at: at(n),
  machines: ['TMU'],
  offMs,
});

/** Meanwhile the campaign cannot continue, and so does not end the silence by programming EDT. */
const stuck = (n: number): Fault => ({
  category: 'ecu',
  kind: 'stuck',
  at: at(n),
  ecu: 'EDT',
  forMs: 30_000,
});
/** Longer than S3 and than any power cut here. */
const LONGEST_MS = 8000;

describe('normal traffic comes back', async () => {
  const undisturbed = await play();
  const off = numberOf(undisturbed, OFF);
  const on = numberOf(undisturbed, ON);
  const end = numberOf(undisturbed, DEFAULT);

  it('after an update, at once', () => {
    expect(undisturbed.result.violations).toEqual([]);
    expect(longestSilenceMs(undisturbed)).toBeLessThan(2000);
  });

  it.each<readonly [what: string, from: number, fault: (n: number) => Fault]>([
    ['the TMU loses its power when all are silent', off + 10, (n) => cut(n, 1500)],
    ['and is back before the session timers are over', off + 10, (n) => cut(n, 4300)],
    ['in the middle of the programming', Math.floor((off + on) / 2), (n) => cut(n, 1500)],
    ['right before it would end the silence', on - 3, (n) => cut(n, 1500)],
    [
      'its controller is off the bus meanwhile',
      on - 3,
      (n) => ({ category: 'bus', kind: 'bus-off', at: at(n), machine: 'TMU', forMs: 2093 }),
    ],
    [
      'INV misses the end of the silence',
      on - 1,
      (n) => ({ category: 'bus', kind: 'deaf', at: at(n), machine: 'INV', frames: end - n + 20 }),
    ],
    [
      'the end of the silence is lost for all',
      on - 1,
      (n) => ({ category: 'bus', kind: 'drop', at: at(n), frames: end - n + 12 }),
    ],
  ])('%s', async (_what, from, fault) => {
    const played = await play(fault(from), stuck(from));
    expect(played.result.violations).toEqual([]);
    // The fault hit while INV was silent.
    expect(longestSilenceMs(played)).toBeGreaterThan(longestSilenceMs(undisturbed) + 100);
    expect(longestSilenceMs(played)).toBeLessThan(LONGEST_MS);
  });
});
