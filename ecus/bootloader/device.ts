// The data on which the services of an ECU work, and the events of the ECU.

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

/** Events of an ECU, JSON-serialisable: the command line prints them as lines. */
export type EcuEvent =
  | {
      readonly kind: 'boot';
      readonly mode: 'confirmed' | 'trial' | 'recovery';
      readonly bank: 'A' | 'B' | null;
      readonly version: string;
      readonly reason: string;
    }
  /** The started image does not answer; the ECU resets again. */
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
  /** The factory announced the first image; before the lock it needs no metadata. */
  | { readonly kind: 'first-image'; readonly version: string }
  | { readonly kind: 'metadata-refused'; readonly code: AttackCode; readonly reason: string }
  /** The bytes of an image do not match the signed digest. */
  | { readonly kind: 'image-refused'; readonly code: AttackCode; readonly reason: string }
  /** A request was refused because a precondition is missing. */
  | { readonly kind: 'not-ready'; readonly reason: string }
  /** The ECU made its own keys. */
  | { readonly kind: 'keys' }
  | { readonly kind: 'root'; readonly file: string }
  | { readonly kind: 'root-refused'; readonly reason: string }
  /** Provisioning has ended: memory and secrets cannot be read out any more. */
  | { readonly kind: 'locked'; readonly serial: string }
  | { readonly kind: 'erase'; readonly bank: 'A' | 'B' }
  /** A download is resumed after its durable part. */
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
  /** The security counter is now that of the running image; no older image runs any more. */
  | { readonly kind: 'commit'; readonly counter: number }
  | { readonly kind: 'reset'; readonly reason: 'request' | 'trial-expired' | 'fault' }
  /** A requested fault has happened. */
  | { readonly kind: 'fault'; readonly fault: 'stuck' }
  /** Power was lost: only durable data is left. */
  | { readonly kind: 'power-lost' }
  /** The ECU stopped because its storage or its bus failed. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** CGW only: the approval request, with `status` as in `ApprovalStatus`. */
  | { readonly kind: 'approval'; readonly campaignId: string; readonly status: string };

/** The software that the last boot started. */
export interface RunningSoftware {
  readonly bank: BankIndex | 'recovery';
  readonly version: string;
  /** SHA-256 of the started image, hexadecimal; empty in the bootloader alone. */
  readonly sha256: string;
  /** Start time on the clock of the ECU. */
  readonly sinceMs: number;
  readonly selfTestPassed: boolean;
  /** Whether service 11 caused the boot. */
  readonly requested: boolean;
}

/** The state of an ECU from a boot to the next reset. */
export interface BootedEcu extends EcuMemory {
  readonly ecu: VehicleEcu;
  readonly banks: BankDriver;
  readonly vin: string;
  readonly needs: ProvisioningNeeds;
  /** Whether secrets that come with can-ota are allowed. */
  readonly benchKeys: boolean;
  readonly profile: EcuProfile;
  readonly faults: EcuFaults;
  readonly logger: Logger;
  readonly running: RunningSoftware;
  /** Number of bytes after which a download is made durable again. */
  readonly checkpointBytes: number;
  emit(event: EcuEvent): void;
  /** Cuts the power: no request is answered and no data is stored any more. */
  losePower(): void;
}

/** The version while no image can be booted. */
export const NO_VERSION = 'none';
