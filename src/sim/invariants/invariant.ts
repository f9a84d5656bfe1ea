// What an invariant is: words, and what it looks at of the things that are seen of one vehicle.

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
    /** Why the ECU could not be taken back or asked. */
    readonly error: string | null;
  }[];
}

/** SHA-256 and version of the images that may run on an ECU, by SHA-256. */
export type Released = Readonly<Record<EcuName, ReadonlyMap<string, string>>>;

export type Observation = { readonly atMs: number } & (
  | {
      readonly kind: 'start';
      readonly campaign: number;
      /** No faults: it must succeed. */
      readonly proof: boolean;
      /** Its faults cost nothing but time: it must succeed. Missing: it has others. */
      readonly onlyTime?: boolean;
      /** A safety release: nobody has to approve, but the driver is told before anything is erased. */
      readonly forced: boolean;
      readonly contents: VehicleContents;
      /** SHA-256 of the newest release of each ECU. */
      readonly wanted: Readonly<Record<EcuName, string>>;
    }
  /** An ECU was started from these bytes. */
  | {
      readonly kind: 'boot';
      readonly ecu: EcuName;
      /** Undefined: recovery, nothing runs. */
      readonly sha256: string | undefined;
      readonly imageCounter: number;
      readonly counter: number;
    }
  /** A bank was erased. */
  | { readonly kind: 'erase'; readonly ecu: EcuName }
  /** The driver has typed this. */
  | {
      readonly kind: 'driver';
      readonly answer: 'approved' | 'withdrawn' | 'other';
      readonly campaign: string;
    }
  /** The CGW shows a safety release to the driver. */
  | { readonly kind: 'informed' }
  /** The TMU asks an ECU for its trouble codes, which is the last question before confirmation. */
  | { readonly kind: 'asked'; readonly ecu: EcuName }
  /** The TMU sends 11 (ECUReset). */
  | { readonly kind: 'reset-ordered'; readonly ecu: EcuName }
  /** An ECU of another make takes 10 02, or answers 22: its conditions are not met. */
  | { readonly kind: 'programming'; readonly ecu: EcuName; readonly accepted: boolean }
  /** The one bank of an ECU of another make holds a whole image again. */
  | { readonly kind: 'written'; readonly ecu: EcuName; readonly sha256: string }
  | { readonly kind: 'confirmed'; readonly ecu: EcuName; readonly content: EcuContents }
  | { readonly kind: 'counter'; readonly ecu: EcuName; readonly counter: number }
  | {
      readonly kind: 'rest';
      readonly contents: VehicleContents;
      readonly dead: readonly string[];
      /** Run nothing but their bootloader: the one bank holds no image that may be started. */
      readonly imageless: readonly EcuName[];
      readonly silent: readonly EcuName[];
      /** Of this vehicle, since the start of the episode, oldest first. */
      readonly reports: readonly ReportRow[];
      /** Versions in the words of the releases, for the report of a mixed state. */
      readonly released: Released;
      /** Campaigns whose end the TMU has told, with the outcome. */
      readonly told: readonly { readonly campaign: string; readonly outcome: string }[];
    }
  /** Configuration, commands and telemetry after a rest. */
  | { readonly kind: 'services'; readonly facts: ServicesFacts }
  /** What was given to the backend, was acknowledged, and is not there. */
  | { readonly kind: 'backend-rest'; readonly lost: readonly string[] }
  /** The small device was started from these bytes (null: it has nothing to run), which it calls by this version. */
  | {
      readonly kind: 'device-boot';
      readonly held: string | undefined;
      readonly says: string | null;
    }
  /** The small device tells how an update ended, and what it runs. */
  | { readonly kind: 'device-says'; readonly held: string | undefined; readonly says: string }
  /** Everything works, and it waits for the next release. */
  | {
      readonly kind: 'device-rest';
      readonly held: string | undefined;
      readonly newest: string;
      /** What it ran when the newest one was released. */
      readonly before: string | undefined;
      /** Versions of which the backend believes that it has installed them. */
      readonly completed: readonly string[];
    }
  /** What was left to do after the rest is done. */
  | {
      readonly kind: 'recovered';
      readonly contents: VehicleContents;
      readonly reports: readonly ReportRow[];
    }
  /** The episode itself has seen that it does not hold. */
  | { readonly kind: 'failed'; readonly invariant: string; readonly text: string }
);
export type Seen<K extends Observation['kind']> = Extract<Observation, { kind: K }>;

export interface InvariantOptions {
  /** What may run, growing with each release; asked at each boot. */
  readonly released: () => Released;
  /** How long after a withdrawal an erase may still come that was ordered before it. */
  readonly withdrawalGraceMs: number;
  /** Questions about the installation are asked at all. */
  readonly approvalNeeded: boolean;
}

/** What was seen of the present campaign before the observation at hand. */
export interface SeenCampaign {
  readonly start: Seen<'start'>;
  /** ECUs whose newest release is not what they ran at the start. */
  readonly planned: readonly EcuName[];
  /** Ran the wanted image at least once. */
  readonly activated: ReadonlySet<EcuName>;
  /** Were asked for their trouble codes since. */
  readonly asked: ReadonlySet<EcuName>;
  readonly confirmed: ReadonlySet<EcuName>;
  /** The driver was told. */
  readonly informed: boolean;
  /** Highest security counters that were ever seen. */
  readonly counters: ReadonlyMap<EcuName, number>;
}

/** At its rest. */
interface RestingCampaign extends SeenCampaign {
  readonly end: CampaignEnd;
}

export interface CampaignEnd {
  /** The last report that came to the backend since the rest of the campaign before. */
  readonly last: ReportRow | undefined;
  /** The last report is that of a mixed state. */
  readonly isDeclared: boolean;
  readonly isNew: boolean;
  readonly isOld: boolean;
}

/** Tells that it does not hold. */
export type Broken = (text: string) => void;

/** Handlers by what was seen; each episode and vehicle has its own. */
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
  /** Missing: only the episode itself can see it (`failed`). */
  watch?(options: InvariantOptions): Watch;
}

/** Keeps its name exact. */
export function invariant<const N extends string>(one: Invariant<N>): Invariant<N> {
  return one;
}
