// A faulty node: it sends with the highest priority without a pause, so that no other node can send.

import { type CanFrame, classicFrame } from '../bus/can-frame.ts';
import type { Clock } from '../core/clock.ts';
import type { SimulatedWire } from './simulated-bus.ts';

export interface BabblingOptions {
  readonly wire: SimulatedWire;
  readonly clock: Clock;
  /** How long it babbles. A watchdog or a fuse ends it. */
  readonly forMs: number;
  /** Silence between two of its frames; 0 (the default): none. */
  readonly gapMs?: number;
  /** The frame that it sends; by default identifier 0 with eight bytes. */
  readonly frame?: CanFrame;
  /** Name of the node on the wire; `babbler` by default. */
  readonly name?: string;
}

export interface Babbling {
  /** Number of its frames on the wire. */
  readonly frames: number;
  /** Ends it early. A frame on the wire is broken off. */
  stop(): void;
}

/** The highest priority; its only recessive bits are stuff bits. */
const HIGHEST = classicFrame(0, new Uint8Array(8));

/** Begins at once. Throws RangeError on a wire without a bit rate: frames take no time there, so it would never end. */
export function startBabbling(options: BabblingOptions): Babbling {
  const { wire, clock, gapMs = 0, frame = HIGHEST } = options;
  if (wire.bitrate === undefined) throw new RangeError(`${wire.name} has no bit rate to fill`);
  // A babbling node does not stop for its own errors: it recovers from bus-off at once.
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
      // In bus-off: sends again once the bus is back.
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
