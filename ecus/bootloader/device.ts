// What the services of an ECU work on, and the events by which it tells the outside what it does.

import type { Logger } from '../../src/core/logger.ts';
import type { AttackCode } from '../../src/trust/attack.ts';
import type { SessionReason } from '../../src/uds/server-types.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';
import type { EcuProfile } from '../profile.ts';
import type { BankDriver } from './boot/bank-driver.ts';
import type { BankIndex } from './boot/boot-record.ts';
import type { ProvisioningNeeds } from './factory/provisioning-needs.ts';
import type { EcuFaults } from './faults.ts';
import type { EcuMemory } from './flash/memory.ts';

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
  /** The bank was not started: its header, its signatures or its counter are not right. */
  | {
      readonly kind: 'boot-refused';
      readonly bank: 'A' | 'B';
      readonly code: AttackCode;
      readonly reason: string;
    }
  /** Signed metadata was verified and kept; `version` is null when it has no image for this ECU. */
  | { readonly kind: 'metadata'; readonly version: string | null }
  /** The factory told of the first image; until the lock it needs no metadata. */
  | { readonly kind: 'first-image'; readonly version: string }
  | { readonly kind: 'metadata-refused'; readonly code: AttackCode; readonly reason: string }
  /** The bytes of an image are not those that were signed. */
  | { readonly kind: 'image-refused'; readonly code: AttackCode; readonly reason: string }
  /** A request was refused because something has to happen first. */
  | { readonly kind: 'not-ready'; readonly reason: string }
  /** The ECU made its own keys. */
  | { readonly kind: 'keys' }
  | { readonly kind: 'root'; readonly file: string }
  | { readonly kind: 'root-refused'; readonly reason: string }
  /** Provisioning is over: nothing can be read out any more. */
  | { readonly kind: 'locked'; readonly serial: string }
  | { readonly kind: 'erase'; readonly bank: 'A' | 'B' }
  /** A download goes on behind what was durable of it. */
  | { readonly kind: 'resume'; readonly bank: 'A' | 'B'; readonly received: number }
  | { readonly kind: 'progress'; readonly received: number; readonly size: number }
  | {
      readonly kind: 'check';
      readonly bank: 'A' | 'B';
      readonly passed: boolean;
      readonly sha256: string;
      readonly version: string;
    }
  | { readonly kind: 'activate' | 'confirm' | 'rollback' }
  /** The security counter is that of the running image now: nothing older runs any more. */
  | { readonly kind: 'commit'; readonly counter: number }
  | { readonly kind: 'reset'; readonly reason: 'request' | 'trial-expired' | 'fault' }
  /** A fault that was asked for has happened. */
  | { readonly kind: 'fault'; readonly fault: 'stuck' }
  /** The instance is dead: only what was durable is left. */
  | { readonly kind: 'power-lost' }
  /** The ECU stopped because its storage or its bus failed. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** CGW only: the driver's question, `status` as in `ApprovalStatus`. */
  | { readonly kind: 'approval'; readonly campaignId: string; readonly status: string };

/** What the last boot started. */
export interface RunningSoftware {
  readonly bank: BankIndex | 'recovery';
  readonly version: string;
  /** Of the image that was started, hexadecimal; empty in the bootloader alone. */
  readonly sha256: string;
  /** On the clock of the ECU. */
  readonly sinceMs: number;
  readonly selfTestPassed: boolean;
  /** The boot followed on service 11. */
  readonly requested: boolean;
}

/** One life of an ECU, from a boot to the next reset. */
export interface BootedEcu extends EcuMemory {
  readonly ecu: VehicleEcu;
  readonly banks: BankDriver;
  readonly vin: string;
  readonly needs: ProvisioningNeeds;
  /** Secrets that come with can-ota are allowed. */
  readonly benchKeys: boolean;
  readonly profile: EcuProfile;
  readonly faults: EcuFaults;
  readonly logger: Logger;
  readonly running: RunningSoftware;
  /** A download is made durable once this many bytes have come since the last time. */
  readonly checkpointBytes: number;
  emit(event: EcuEvent): void;
  /** The supply breaks down: nothing is answered or stored any more. */
  losePower(): void;
}

/** The version while nothing can be booted. */
export const NO_VERSION = 'none';
