// Faults of single frames on the wire: they are lost, duplicated or corrupted.

import { type FaultModule, faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export const FRAME_FAULTS = ['drop', 'duplicate', 'corrupt'] as const;

export interface FrameNoise {
  readonly category: 'bus';
  readonly kind: (typeof FRAME_FAULTS)[number];
  readonly at: Trigger;
  /** Number of frames in a row. */
  readonly frames: number;
}

export const frameDrop = frameNoise('drop');
export const frameDuplicate = frameNoise('duplicate');
export const frameCorrupt = frameNoise('corrupt');

function frameNoise(kind: FrameNoise['kind']): FaultModule<FrameNoise, Trigger> {
  return faultModule<FrameNoise, Trigger>({
    category: 'bus',
    kind,
    draw: (draw, at) => ({ category: 'bus', kind, at, frames: draw.burst() }),
    fire({ frames }, context) {
      context.frames(frames, () => kind);
    },
  });
}
