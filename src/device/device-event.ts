// What a device says while it works: one object a line with `--json`.

import type { DeviceStateName } from './device-state.ts';
import type { CheckResult } from './diagnostics.ts';

const DEVICE_OUTCOMES = ['success', 'up-to-date', 'rolled-back', 'failed'] as const;
export type DeviceOutcome = (typeof DEVICE_OUTCOMES)[number];

export type DeviceEvent =
  | {
      readonly kind: 'boot';
      /** `recovery`: no bank holds an image that may run; the device can still be updated. */
      readonly mode: 'confirmed' | 'trial' | 'recovery';
      readonly bank: 'A' | 'B' | null;
      readonly version: string | null;
      readonly reason: string;
    }
  | { readonly kind: 'boot-refused'; readonly bank: 'A' | 'B'; readonly reason: string }
  | {
      readonly kind: 'state';
      readonly state: DeviceStateName;
      readonly code?: string;
      readonly reason?: string;
    }
  /** The normal work goes on, or stands still. */
  | { readonly kind: 'work'; readonly running: boolean; readonly beats: number }
  | {
      readonly kind: 'package';
      readonly version: string;
      readonly counter: number;
      /** bytes of the encrypted image */
      readonly length: number;
      readonly chunkBytes: number;
      /** bytes that are here from an earlier try */
      readonly resumedAt: number;
    }
  /** With every answer of the backend. */
  | { readonly kind: 'progress'; readonly received: number; readonly total: number }
  /** Something in an answer was not as it should be; it is asked for again. */
  | { readonly kind: 'trouble'; readonly reason: string }
  | {
      readonly kind: 'retry';
      readonly retry: number;
      readonly of: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  | { readonly kind: 'diagnostics'; readonly checks: readonly CheckResult[] }
  | {
      readonly kind: 'outcome';
      readonly outcome: DeviceOutcome;
      /** That runs now; empty in recovery. */
      readonly version: string;
      readonly code?: string;
      readonly reason?: string;
      /** The most working memory that was taken since the start, of `capacityBytes`. */
      readonly peakBytes: number;
      readonly capacityBytes: number;
    }
  | { readonly kind: 'next-check'; readonly inMs: number };
