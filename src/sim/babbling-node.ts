// A node gone mad: it sends with the highest priority without a pause, and nobody else gets a word in.

import { type CanFrame, classicFrame } from '../bus/can-frame.ts';
import type { Clock } from '../core/clock.ts';
import type { SimulatedWire } from './simulated-bus.ts';

export interface BabblingOptions {
  readonly wire: SimulatedWire;
  readonly clock: Clock;
  /** How long it goes on. A watchdog or a fuse ends it. */
  readonly forMs: number;
  /** Silence between two of its frames; 0 (the default): none at all. */
  readonly gapMs?: number;
  /** What it sends; identifier 0 with eight bytes unless told otherwise. */
  readonly frame?: CanFrame;
  /** Its name on the wire; `babbler` unless told otherwise. */
  readonly name?: string;
}

export interface Babbling {
  /** Its frames that were on the wire. */
  readonly frames: number;
  /** Ends it before its time. A frame on the wire is broken off. */
  stop(): void;
}

/** The highest priority there is; recessive bits in between only where stuffing wants them. */
const HIGHEST = classicFrame(0, new Uint8Array(8));

/** Begins at once. Throws RangeError on a wire without a bit rate, whose frames take no time: it would never end. */
export function startBabbling(options: BabblingOptions): Babbling {
  const { wire, clock, gapMs = 0, frame = HIGHEST } = options;
  if (wire.bitrate === undefined) throw new RangeError(`${wire.name} has no bit rate to fill`);
  // A babbling node does not stop for errors of its own: it comes back from bus-off at once.
  const bus = wire.attach(options.name ?? 'babbler', { restartMs: 0 });
  let frames = 0;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    bus.vanish();
  };
  const babble = (): void => {
    bus.send(frame, (outcome) => {
      if (stopped) return;
      if (outcome.kind === 'sent') frames++;
      // Off the bus: as soon as it is back.
      if (outcome.kind === 'sent' && gapMs === 0) babble();
      else clock.after('babble', Math.max(gapMs, 1), () => !stopped && babble());
    });
  };
  babble();
  clock.after('babbling', options.forMs, stop);
  return {
    get frames() {
      return frames;
    },
    stop,
  };
}
