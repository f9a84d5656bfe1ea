// What the daemon needs of Uptane: verified releases, metadata for the ECUs, and reports to the Director.

import type { Backend, EcuDriver, Failed, Offer } from '../campaign/ports.ts';
import type { CheckinTelemetry } from '../contract/checkin-telemetry.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Random } from '../core/random.ts';
import type { Storage } from '../core/storage.ts';
import type { AttackCode } from '../trust/attack.ts';
import type { EcuTrustState } from '../trust/bundle.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { SendCheckin } from './outbox.ts';
import type { TmuListener } from './tmu-event.ts';

export type TrustedCheck =
  /** Both repositories agree on these releases. */
  | {
      readonly kind: 'offers';
      readonly offers: readonly Offer[];
      /** Whether the Director has accepted the manifest. */
      readonly checkedIn: boolean;
      /** Why it has not: it then decided nothing new, and the releases belong to an earlier check-in. */
      readonly incomplete?: string;
    }
  /** The Director has not accepted the manifest (an ECU is silent) and has never signed anything for this vehicle. */
  | { readonly kind: 'incomplete'; readonly reason: string }
  | { readonly kind: 'untrusted'; readonly code: AttackCode; readonly reason: string }
  | BackendFailure
  | { readonly kind: 'interrupted' };

/** The image that an ECU shall get; a part of a plan item. */
export interface WantedImage {
  readonly ecu: string;
  readonly targetName: string;
  readonly to: { readonly sha256: string; readonly size: number };
}

export interface TrustedSource {
  /** Check-in and full verification of both repositories (5.4.4.2). Throws StorageError. */
  check(signal: AbortSignal): Promise<TrustedCheck>;
  /** Tells the Director what every ECU runs now. */
  readonly checkIn: SendCheckin;
  /**
   * The smallest metadata bundle that brings this ECU up to what the Primary has verified, with a time for its nonce.
   */
  bundle(
    ecu: string,
    state: EcuTrustState,
    signal: AbortSignal,
  ): Promise<{ readonly ok: true; readonly value: Uint8Array } | Failed>;
  /** For an ECU that verifies nothing: whether both repositories still assign this image to it. */
  stands(wanted: WantedImage, signal: AbortSignal): Promise<{ readonly ok: true } | Failed>;
  /** The campaign has succeeded: images with a lower release counter may not be installed any more. */
  installed(
    images: readonly { readonly ecu: string; readonly releaseCounter: number }[],
  ): Promise<void>;
}

/** Passed to the factory of the source, once the state directory is locked. */
export interface TrustedTools {
  readonly backend: Backend;
  readonly driverFor: (ecu: string) => EcuDriver;
  /** What an ECU is assumed to run; see Inventory. */
  readonly runs: (ecu: string) => InstalledImage | undefined;
  readonly vehicle: Vehicle;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  /** What this TMU reports about itself with a check-in. */
  readonly telemetry: (signal: AbortSignal) => Promise<CheckinTelemetry | undefined>;
}

export interface InstalledImage {
  readonly sha256: string | undefined;
  readonly version: string;
  /** Name of the target, where this process knows it. */
  readonly name?: string;
  readonly length?: number;
}
