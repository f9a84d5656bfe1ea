// An ECU of another make is slow, busy or deaf, refuses requests, or does not start its new software.

import type { PlainEcuFaults } from '../other-make/faults.ts';
import type { Draw } from './draw.ts';
import { type FaultModule, faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface OtherMakeFault {
  readonly category: 'make';
  readonly kind:
    | 'refuses-session'
    | 'busy'
    | 'waits'
    | 'deaf-after-session'
    | 'slow-reset'
    | 'lingers'
    | 'no-start';
  readonly at: Trigger;
  /** How long the fault lasts. */
  readonly forMs: number;
  /** Number of requests, or ms, by kind; 0 where the kind needs no amount. */
  readonly amount: number;
}

interface Effect {
  begin(faults: PlainEcuFaults, amount: number): void;
  end(faults: PlainEcuFaults): void;
  readonly longestMs: number;
  readonly onlyTime?: boolean;
  readonly amount?: readonly [least: number, most: number];
}

const HOUR_MS = 3_600_000;

/** Its conditions are not met: 10 02 is answered with 22. */
export const refusesSession = otherMake('refuses-session', {
  begin: (faults) => {
    faults.refusesProgramming = true;
  },
  end: (faults) => {
    faults.refusesProgramming = false;
  },
  longestMs: 60_000,
});

/** Every request is answered with 21. */
export const busy = otherMake('busy', {
  begin: (faults) => {
    faults.busy = true;
  },
  end: (faults) => {
    faults.busy = false;
  },
  longestMs: 20_000,
  onlyTime: true,
});

/** Long requests are delayed by FC.WAIT. */
export const waits = otherMake('waits', {
  begin: (faults) => {
    faults.waits = true;
  },
  end: (faults) => {
    faults.waits = false;
  },
  longestMs: 3000,
  onlyTime: true,
});

/** The requests right after 10 02 are lost. */
export const deafAfterSession = otherMake('deaf-after-session', {
  begin: (faults, amount) => {
    faults.deafAfterSession = amount;
  },
  end: (faults) => {
    faults.deafAfterSession = 0;
  },
  longestMs: HOUR_MS,
  amount: [1, 2],
});

/** Each restart takes this many ms more. */
export const slowReset = otherMake('slow-reset', {
  begin: (faults, amount) => {
    faults.extraBootMs = amount;
  },
  end: (faults) => {
    faults.extraBootMs = 0;
  },
  longestMs: HOUR_MS,
  amount: [500, 6000],
  onlyTime: true,
});

/** The old program answers for this many ms after the answer to 11. */
export const lingers = otherMake('lingers', {
  begin: (faults, amount) => {
    faults.lingerMs = amount;
  },
  end: (faults) => {
    faults.lingerMs = 0;
  },
  longestMs: HOUR_MS,
  amount: [100, 2000],
  onlyTime: true,
});

/** The new software never starts: the ECU stays in its bootloader. */
export const noStart = otherMake('no-start', {
  begin: (faults) => {
    faults.refusesNewImage = true;
  },
  end: (faults) => {
    faults.refusesNewImage = false;
  },
  longestMs: HOUR_MS,
});

function otherMake(kind: OtherMakeFault['kind'], effect: Effect): FaultModule<OtherMakeFault> {
  const { begin, end, longestMs, onlyTime = false, amount: amounts = [0, 0] } = effect;
  return faultModule<OtherMakeFault>({
    category: 'make',
    kind,
    onlyTime,
    draw: (draw) => ({
      category: 'make',
      kind,
      at: triggerOf(draw),
      forMs: longestMs === HOUR_MS ? HOUR_MS : draw.between(200, longestMs),
      amount: draw.between(...amounts),
    }),
    fire({ forMs, amount }, { vehicle, mend, atEnd }) {
      const { otherMakeFaults: faults } = vehicle;
      begin(faults, amount);
      atEnd(() => end(faults));
      if (forMs < HOUR_MS) mend(forMs, () => end(faults));
    },
  });
}

/** The fault falls into the activation: a single bank is written only then. */
function triggerOf(draw: Draw): Trigger {
  if (draw.chance(0.3)) return draw.trigger();
  const state = draw.oneOf(['downloading', 'staging', 'activating'] as const);
  return { on: 'state', state, delayMs: draw.chance(0.5) ? 0 : draw.between(0, 500) };
}
