// What the daemon needs of Uptane: offers that may be believed, metadata for the ECUs, and reports to the Director.

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
  /** Both repositories agree on these. */
  | {
      readonly kind: 'offers';
      readonly offers: readonly Offer[];
      /** The Director has taken the manifest. */
      readonly checkedIn: boolean;
      /** Why it has not: then it has decided nothing new, and these offers are of an earlier check-in. */
      readonly incomplete?: string;
    }
  /** The Director has not taken the manifest (an ECU is silent), and has never signed anything for this vehicle. */
  | { readonly kind: 'incomplete'; readonly reason: string }
  | { readonly kind: 'untrusted'; readonly code: AttackCode; readonly reason: string }
  | BackendFailure
  | { readonly kind: 'interrupted' };

/** Which image an ECU shall get; a part of a plan item. */
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
  /** The smallest bundle that brings this ECU up to what the Primary has verified, with a time for its nonce. */
  bundle(
    ecu: string,
    state: EcuTrustState,
    signal: AbortSignal,
  ): Promise<{ readonly ok: true; readonly value: Uint8Array } | Failed>;
  /** For an ECU that verifies nothing: whether both repositories (still) want this image in it. */
  stands(wanted: WantedImage, signal: AbortSignal): Promise<{ readonly ok: true } | Failed>;
  /** The campaign has succeeded: nothing older than this may be installed any more. */
  installed(
    images: readonly { readonly ecu: string; readonly releaseCounter: number }[],
  ): Promise<void>;
}

/** Handed to whoever makes the source, once the state directory is taken. */
export interface TrustedTools {
  readonly backend: Backend;
  readonly driverFor: (ecu: string) => EcuDriver;
  /** What an ECU is believed to run; see Inventory. */
  readonly runs: (ecu: string) => InstalledImage | undefined;
  readonly vehicle: Vehicle;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly emit: TmuListener;
  /** What this TMU tells of itself with a check-in. */
  readonly telemetry: (signal: AbortSignal) => Promise<CheckinTelemetry | undefined>;
}

export interface InstalledImage {
  readonly sha256: string | undefined;
  readonly version: string;
  /** Where this process knows which target it is. */
  readonly name?: string;
  readonly length?: number;
}
