// What the services of an ECU work on, and the events by which it tells the outside what it does.

import type { Logger } from '../../src/core/logger.ts';
import type { SessionReason } from '../../src/uds/server-types.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import type { EcuProfile } from '../profile.ts';
import type { BankIndex } from './boot-record.ts';
import type { EcuFaults } from './faults.ts';
import type { FlashMemory } from './flash-memory.ts';
import type { NvData } from './nv-data.ts';

/** Everything is JSON-serialisable: the command line prints it as lines. */
export type EcuEvent =
  | {
      readonly kind: 'boot';
      readonly mode: 'confirmed' | 'trial' | 'recovery';
      readonly bank: 'A' | 'B' | null;
      readonly version: string;
      readonly reason: string;
    }
  /** The image that was started never came up; the ECU resets once more. */
  | { readonly kind: 'boot-failed'; readonly version: string }
  | { readonly kind: 'session'; readonly session: number; readonly reason: SessionReason }
  | { readonly kind: 'metadata'; readonly version: string }
  | { readonly kind: 'metadata-refused'; readonly reason: string }
  | { readonly kind: 'erase'; readonly bank: 'A' | 'B' }
  | { readonly kind: 'progress'; readonly received: number; readonly size: number }
  | {
      readonly kind: 'check';
      readonly bank: 'A' | 'B';
      readonly passed: boolean;
      readonly sha256: string;
      readonly version: string;
    }
  | { readonly kind: 'activate' | 'confirm' | 'rollback' }
  | { readonly kind: 'reset'; readonly reason: 'request' | 'trial-expired' }
  /** The instance is dead: only what was durable is left. */
  | { readonly kind: 'power-lost' }
  /** The ECU stopped because its storage or its bus failed. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** CGW only: the driver's question, `status` as in `ApprovalStatus`. */
  | { readonly kind: 'approval'; readonly campaignId: string; readonly status: string };

/** What the last boot started. */
export interface Running {
  readonly bank: BankIndex | 'recovery';
  readonly version: string;
  /** On the clock of the ECU. */
  readonly sinceMs: number;
  readonly selfTestPassed: boolean;
}

/** One life of an ECU, from a boot to the next reset. */
export interface Device {
  readonly ecu: VehicleEcu;
  readonly vin: string;
  /** F191; differs from the vehicle file when that fault was asked for. */
  readonly hardwareId: string;
  readonly profile: EcuProfile;
  readonly flash: FlashMemory;
  readonly nv: NvData;
  readonly faults: EcuFaults;
  readonly logger: Logger;
  readonly running: Running;
  emit(event: EcuEvent): void;
  /** The supply breaks down: nothing is answered or stored any more. */
  losePower(): void;
}

/** The version while nothing can be booted. */
export const NO_VERSION = 'none';
/** The version of an image that came without metadata. */
export const UNKNOWN_VERSION = 'unknown';
