// Checks the invariants of one vehicle, based on disks, wire, driver and database, not on what the TMU says.

import { INVARIANTS, type InvariantName } from './invariants/catalogue.ts';
import type {
  CampaignEnd,
  InvariantOptions,
  Observation,
  Seen,
  SeenCampaign,
  Watch,
} from './invariants/invariant.ts';
import { allRun } from './invariants/words.ts';
import { ECU_NAMES, type EcuName, OTHER_MAKE } from './machine-names.ts';
import type { VehicleContents } from './vehicle-contents.ts';

export interface Violation {
  readonly invariant: InvariantName;
  /** Campaign from 1, within its episode. */
  readonly campaign: number;
  /** Virtual time of the episode. */
  readonly atMs: number;
  readonly text: string;
}

/** How a campaign ended, by the report in the database that fits the bytes in the ECUs. */
export type CampaignEnding = 'success' | 'rolledBack' | 'rejected' | 'safeState';

interface OpenStep extends SeenCampaign {
  readonly activated: Set<EcuName>;
  readonly asked: Set<EcuName>;
  readonly confirmed: Set<EcuName>;
  readonly counters: Map<EcuName, number>;
  informed: boolean;
  end: CampaignEnd | undefined;
}

/** Receives the observations of one vehicle in an episode, in order, and collects violations. */
export class Invariants {
  readonly #watches: readonly { readonly name: InvariantName; readonly watch: Watch }[];
  readonly #violations: Violation[] = [];
  readonly #counters = new Map<EcuName, number>();
  #step: OpenStep | undefined;
  #reportsBefore = 0;

  constructor(options: InvariantOptions) {
    this.#watches = INVARIANTS.flatMap((one) => {
      const watch = one.watch?.(options);
      return watch === undefined ? [] : [{ name: one.name, watch }];
    });
  }

  get violations(): readonly Violation[] {
    return this.#violations;
  }

  /** Of the campaign that came to rest last. */
  get ending(): CampaignEnding | undefined {
    const outcome = this.#step?.end?.last?.outcome;
    if (outcome === undefined) return undefined;
    if (outcome === 'SUCCESS') return 'success';
    if (outcome === 'ROLLBACK_FAILED') return 'safeState';
    return outcome === 'ROLLBACK_COMPLETED' ? 'rolledBack' : 'rejected';
  }

  observe(seen: Observation): void {
    const { atMs } = seen;
    if (seen.kind === 'failed') {
      this.#broken(seen.invariant as InvariantName, atMs, seen.text);
      return;
    }
    if (seen.kind === 'start') this.#step = this.#begin(seen);
    const step = this.#step;
    if (step === undefined) throw new Error(`${seen.kind} without start`);
    if (seen.kind === 'rest') step.end = this.#endOf(seen, step);
    for (const { name, watch } of this.#watches) {
      const handler = watch[seen.kind] as Handler | undefined;
      handler?.(seen, step, (text) => this.#broken(name, atMs, text));
    }
    this.#remember(seen, step);
  }

  #begin(start: Seen<'start'>): OpenStep {
    return {
      start,
      planned: ECU_NAMES.filter((ecu) => start.contents[ecu].sha256 !== start.wanted[ecu]),
      activated: new Set(),
      asked: new Set(),
      confirmed: new Set(),
      informed: false,
      counters: this.#counters,
      end: undefined,
    };
  }

  #endOf({ reports, contents }: Seen<'rest'>, { start }: SeenCampaign): CampaignEnd {
    const last = reports.slice(this.#reportsBefore).at(-1);
    return {
      last,
      isDeclared: last?.outcome === 'ROLLBACK_FAILED',
      isNew: allRun(contents, (ecu) => start.wanted[ecu]),
      isOld: allRun(contents, (ecu) => start.contents[ecu].sha256),
    };
  }

  /** Called after the invariants have checked the observation. */
  #remember(seen: Observation, step: OpenStep): void {
    switch (seen.kind) {
      case 'start':
        this.#seenCounters(seen.contents);
        break;
      case 'boot':
        this.#seenCounter(seen.ecu, seen.counter);
        if (seen.sha256 === step.start.wanted[seen.ecu]) step.activated.add(seen.ecu);
        break;
      case 'informed':
        step.informed = true;
        break;
      case 'asked':
        if (!step.activated.has(seen.ecu)) break;
        step.asked.add(seen.ecu);
        // It has no confirmation, so its answer counts as one.
        if (seen.ecu === OTHER_MAKE) step.confirmed.add(seen.ecu);
        break;
      case 'confirmed':
        step.confirmed.add(seen.ecu);
        break;
      case 'counter':
        this.#seenCounter(seen.ecu, seen.counter);
        break;
      case 'rest':
      case 'recovered':
        this.#seenCounters(seen.contents);
        this.#reportsBefore = seen.reports.length;
        break;
      default:
        break;
    }
  }

  #seenCounters(contents: VehicleContents): void {
    for (const ecu of ECU_NAMES) this.#seenCounter(ecu, contents[ecu].counter);
  }

  #seenCounter(ecu: EcuName, counter: number): void {
    this.#counters.set(ecu, Math.max(this.#counters.get(ecu) ?? 0, counter));
  }

  #broken(invariant: InvariantName, atMs: number, text: string): void {
    const campaign = this.#step?.start.campaign ?? 0;
    // One line for each violation, however often it was observed.
    const known = this.#violations.some(
      (other) =>
        other.invariant === invariant && other.campaign === campaign && other.text === text,
    );
    if (!known) this.#violations.push({ invariant, campaign, atMs, text });
  }
}

type Handler = (seen: Observation, step: SeenCampaign, broken: (text: string) => void) => void;
