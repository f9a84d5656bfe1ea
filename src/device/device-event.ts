// The events of a device; with `--json` one object a line.

import type { DeviceStateName } from './device-state.ts';
import type { CheckResult } from './diagnostics.ts';

const DEVICE_OUTCOMES = ['success', 'up-to-date', 'rolled-back', 'failed'] as const;
export type DeviceOutcome = (typeof DEVICE_OUTCOMES)[number];

export type DeviceEvent =
  | {
      readonly kind: 'boot';
      /** `recovery`: no bank holds an image that may run; an update is still possible. */
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
  /** The normal work runs or is paused. */
  | { readonly kind: 'work'; readonly running: boolean; readonly beats: number }
  | {
      readonly kind: 'package';
      readonly version: string;
      readonly counter: number;
      /** Length of the encrypted image in bytes. */
      readonly length: number;
      readonly chunkBytes: number;
      /** Bytes held from an earlier try. */
      readonly resumedAt: number;
    }
  /** Progress, after every answer of the backend. */
  | { readonly kind: 'progress'; readonly received: number; readonly total: number }
  /** An answer was wrong; the device asks again. */
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
      /** Version that runs now; empty in recovery. */
      readonly version: string;
      readonly code?: string;
      readonly reason?: string;
      /** Peak of the used working memory since the start, of `capacityBytes`. */
      readonly peakBytes: number;
      readonly capacityBytes: number;
    }
  | { readonly kind: 'next-check'; readonly inMs: number };
