// What a bench shows and where its driver types: one terminal for both, or lines in and out.

import type { Readable } from 'node:stream';
import { KeyInput, readsKeys } from './driver-input.ts';
import type { FrameMeter } from './meter.ts';
import { type BenchView, openBenchView } from './view.ts';

export interface BenchScreen {
  readonly view: BenchView;
  /** What the driver types; undefined where the answers are automatic. */
  readonly driver: Readable | undefined;
  /** Leaves the terminal as it was; further calls do nothing. */
  close(): void;
}

export function openBenchScreen(
  approve: 'ask' | 'yes' | 'no',
  json: boolean,
  meter: FrameMeter,
): BenchScreen {
  const single = readsKeys(approve, json);
  const view = openBenchView(json, meter, single);
  const keys = single ? new KeyInput(view) : undefined;
  const asked = keys?.lines ?? process.stdin;
  let isOpen = true;
  return {
    view,
    driver: approve === 'ask' ? asked : undefined,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      view.close();
      keys?.close();
    },
  };
}
