// The form of an invariant: its words, and the observations of one vehicle that it checks.

import type { EcuContents } from '../ecu-contents.ts';
import type { EcuName } from '../machine-names.ts';
import type { ServicesFacts } from '../services-facts.ts';
import type { VehicleContents } from '../vehicle-contents.ts';

/** A row of the backend's table of reports. */
export interface ReportRow {
  readonly campaign: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly ecus: readonly {
    readonly name: string;
    readonly version: string | null;
    readonly sha256: string | null;
    /** Why the ECU could not be rolled back or asked. */
    readonly error: string | null;
  }[];
}

/** Versions of the images that may run on an ECU, by SHA-256. */
export type Released = Readonly<Record<EcuName, ReadonlyMap<string, string>>>;

export type Observation = { readonly atMs: number } & (
  | {
      readonly kind: 'start';
      readonly campaign: number;
      /** A campaign without faults: it must succeed. */
      readonly proof: boolean;
      /** All its faults only cost time: it must succeed. Missing: it has other faults. */
      readonly onlyTime?: boolean;
      /** A safety release: no approval is needed, but the driver is told before anything is erased. */
      readonly forced: boolean;
      readonly contents: VehicleContents;
      /** SHA-256 of the newest release of each ECU. */
      readonly wanted: Readonly<Record<EcuName, string>>;
    }
  /** An ECU booted these bytes. */
  | {
      readonly kind: 'boot';
      readonly ecu: EcuName;
      /** Undefined: recovery mode; no image runs. */
      readonly sha256: string | undefined;
      readonly imageCounter: number;
      readonly counter: number;
    }
  /** A bank was erased. */
  | { readonly kind: 'erase'; readonly ecu: EcuName }
  /** The driver typed this answer. */
  | {
      readonly kind: 'driver';
      readonly answer: 'approved' | 'withdrawn' | 'other';
      readonly campaign: string;
    }
  /** The CGW shows a safety release to the driver. */
  | { readonly kind: 'informed' }
  /** The TMU asks an ECU for its trouble codes, which is the last check before the confirmation. */
  | { readonly kind: 'asked'; readonly ecu: EcuName }
  /** The TMU sends 11 (ECUReset). */
  | { readonly kind: 'reset-ordered'; readonly ecu: EcuName }
  /** An ECU of another make accepts 10 02, or answers 22: its conditions are not met. */
  | { readonly kind: 'programming'; readonly ecu: EcuName; readonly accepted: boolean }
  /** The single bank of an ECU of another make holds a complete image again. */
  | { readonly kind: 'written'; readonly ecu: EcuName; readonly sha256: string }
  | { readonly kind: 'confirmed'; readonly ecu: EcuName; readonly content: EcuContents }
  | { readonly kind: 'counter'; readonly ecu: EcuName; readonly counter: number }
  | {
      readonly kind: 'rest';
      readonly contents: VehicleContents;
      readonly dead: readonly string[];
      /** ECUs that run only their bootloader, because the single bank holds no image that may be started. */
      readonly imageless: readonly EcuName[];
      readonly silent: readonly EcuName[];
      /** Reports of this vehicle since the start of the episode, oldest first. */
      readonly reports: readonly ReportRow[];
      /** Versions of the releases, for the report of a mixed state. */
      readonly released: Released;
      /** Campaigns whose end the TMU has reported, with the outcome. */
      readonly told: readonly { readonly campaign: string; readonly outcome: string }[];
    }
  /** Configuration, commands and telemetry once the vehicle is at rest. */
  | { readonly kind: 'services'; readonly facts: ServicesFacts }
  /** What the backend has acknowledged but does not have. */
  | { readonly kind: 'backend-rest'; readonly lost: readonly string[] }
  /** The small device booted these bytes (null: it has nothing to run) and reports this version. */
  | {
      readonly kind: 'device-boot';
      readonly held: string | undefined;
      readonly says: string | null;
    }
  /** The small device reports how an update ended and what it runs. */
  | { readonly kind: 'device-says'; readonly held: string | undefined; readonly says: string }
  /** Everything works, and the small device waits for the next release. */
  | {
      readonly kind: 'device-rest';
      readonly held: string | undefined;
      readonly newest: string;
      /** What it ran when the newest one was released. */
      readonly before: string | undefined;
      /** Versions that the backend regards as installed on the device. */
      readonly completed: readonly string[];
    }
  /** The work that was left at the rest is done. */
  | {
      readonly kind: 'recovered';
      readonly contents: VehicleContents;
      readonly reports: readonly ReportRow[];
    }
  /** The episode itself has detected the violation. */
  | { readonly kind: 'failed'; readonly invariant: string; readonly text: string }
);
export type Seen<K extends Observation['kind']> = Extract<Observation, { kind: K }>;

export interface InvariantOptions {
  /** Images that may run, growing with each release; read at each boot. */
  readonly released: () => Released;
  /** How long after a withdrawal an erase may still come that was requested before it. */
  readonly withdrawalGraceMs: number;
  /** Whether the driver is asked about the installation at all. */
  readonly approvalNeeded: boolean;
}

/** What was observed of the present campaign before the current observation. */
export interface SeenCampaign {
  readonly start: Seen<'start'>;
  /** ECUs whose newest release is not what they ran at the start. */
  readonly planned: readonly EcuName[];
  /** ECUs that ran the wanted image at least once. */
  readonly activated: ReadonlySet<EcuName>;
  /** ECUs that were asked for their trouble codes after that. */
  readonly asked: ReadonlySet<EcuName>;
  readonly confirmed: ReadonlySet<EcuName>;
  /** Whether the driver was told. */
  readonly informed: boolean;
  /** Highest security counter observed of each ECU. */
  readonly counters: ReadonlyMap<EcuName, number>;
}

/** The campaign at its rest. */
interface RestingCampaign extends SeenCampaign {
  readonly end: CampaignEnd;
}

export interface CampaignEnd {
  /** The last report that the backend received since the rest of the previous campaign. */
  readonly last: ReportRow | undefined;
  /** Whether the last report declares a mixed state. */
  readonly isDeclared: boolean;
  readonly isNew: boolean;
  readonly isOld: boolean;
}

/** Reports a violation. */
export type Broken = (text: string) => void;

/** Handlers by kind of observation; each episode and vehicle has its own. */
export type Watch = {
  readonly [K in Observation['kind']]?: (
    seen: Seen<K>,
    step: K extends 'rest' ? RestingCampaign : SeenCampaign,
    broken: Broken,
  ) => void;
};

export interface Invariant<N extends string = string> {
  readonly name: N;
  readonly says: string;
  /** Missing: only the episode itself can detect it (`failed`). */
  watch?(options: InvariantOptions): Watch;
}

/** Keeps the exact name. */
export function invariant<const N extends string>(one: Invariant<N>): Invariant<N> {
  return one;
}
