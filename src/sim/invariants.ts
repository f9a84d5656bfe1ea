// What must hold whatever goes wrong. Judged by what disks, wire, driver and database show, not by what the TMU says.

import { assertNever } from '../core/errors.ts';
import { ECU_NAMES, type EcuName } from './machine-names.ts';
import type { EcuTruth, Truths } from './truth.ts';

/** Closed set: the names stand in the JSON of the command and in replay files. */
export const INVARIANTS = {
  mixture: 'all ECUs of a campaign run the new software, or all run the old one',
  'mixed-state-report': 'a declared mixed state is spelled out as it is',
  'unverified-boot': 'what is started was signed for this ECU, or came from its factory',
  counter: 'a security counter never falls, and nothing below it is started',
  'early-counter': 'no counter rises before every ECU of the campaign is confirmed',
  'early-confirm': 'no ECU is confirmed before every ECU of the campaign was started and asked',
  'unhealthy-confirm': 'no ECU is confirmed that has stored new trouble codes',
  'unapproved-erase': 'nothing is erased without an approval that stands',
  report: 'every outcome is in the database of the backend, once',
  outcome: 'the outcome is what became of the vehicle',
  unsettled: 'nothing is on trial or pending after the end',
  recovery: 'a mixed state and owed counters are made good as soon as everything works',
  traffic: 'the normal traffic of every ECU runs again',
  dead: 'every machine runs',
  stuck: 'the campaign ends, and so does every command',
  command: 'a command runs once, and its state says whether it did',
  configuration: 'what the backend was told is in force is in force',
  telemetry: 'everything that was measured is at the backend, once',
  proof: 'the next campaign without faults succeeds',
  crash: 'nothing throws that nobody expects',
} as const;
export type InvariantName = keyof typeof INVARIANTS;

export interface Violation {
  readonly invariant: InvariantName;
  /** From 1, within its episode. */
  readonly campaign: number;
  /** Virtual time of the episode. */
  readonly atMs: number;
  readonly text: string;
}

/** A row of the backend's table of reports. */
export interface ReportRow {
  readonly campaign: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly ecus: readonly {
    readonly name: string;
    readonly version: string | null;
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
      /** A safety release: nobody has to approve, but the driver is told before anything is erased. */
      readonly forced: boolean;
      readonly truths: Truths;
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
  | { readonly kind: 'erase'; readonly ecu: EcuName }
  /** What the driver really said about installing these ECUs, or that an approval ended. */
  | {
      readonly kind: 'driver';
      readonly answer: 'approved' | 'other' | 'withdrawn';
      readonly campaign: string;
    }
  /** The CGW shows an update as approved. */
  | { readonly kind: 'informed' }
  /** A frame on the wire: the tester asks an ECU for the digest of what it runs. */
  | { readonly kind: 'asked'; readonly ecu: EcuName }
  | { readonly kind: 'confirmed'; readonly ecu: EcuName; readonly truth: EcuTruth }
  | { readonly kind: 'counter'; readonly ecu: EcuName; readonly counter: number }
  | {
      readonly kind: 'rest';
      readonly truths: Truths;
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
  /** What was left to do after the rest is done. */
  | {
      readonly kind: 'recovered';
      readonly truths: Truths;
      readonly reports: readonly ReportRow[];
    }
  | {
      readonly kind: 'failed';
      readonly invariant:
        | 'stuck'
        | 'crash'
        | 'recovery'
        | 'command'
        | 'configuration'
        | 'telemetry';
      readonly text: string;
    }
);
type Of<K extends Observation['kind']> = Extract<Observation, { kind: K }>;

export interface InvariantOptions {
  /** What may run, growing with each release; asked at each boot. */
  readonly released: () => Released;
  /** How long after a withdrawal an erase may still come that was ordered before it. */
  readonly withdrawalGraceMs: number;
  /** Questions about the installation are asked at all. */
  readonly approvalNeeded: boolean;
}

interface Step {
  readonly start: Of<'start'>;
  /** ECUs whose newest release is not what they ran at the start. */
  readonly planned: readonly EcuName[];
  /** Ran the wanted image at least once. */
  readonly activated: Set<EcuName>;
  /** Were asked for their digest since. */
  readonly asked: Set<EcuName>;
  readonly confirmed: Set<EcuName>;
  /** The driver was told. */
  informed: boolean;
}

/** How a campaign ended, by the report in the database that fits the bytes in the ECUs. */
export type Ending = 'success' | 'rolledBack' | 'rejected' | 'safeState';

const ROLLED_BACK = new Set(['ROLLBACK_COMPLETED']);

/** Hears what happens in an episode of one vehicle, in order, and collects what must not be. */
export class Invariants {
  readonly #options: InvariantOptions;
  readonly #violations: Violation[] = [];
  readonly #counters = new Map<EcuName, number>();
  #step: Step | undefined;
  #approval: { campaign: string; endedMs: number | undefined } | undefined;
  #reportsBefore = 0;
  #ending: Ending | undefined;

  constructor(options: InvariantOptions) {
    this.#options = options;
  }

  get violations(): readonly Violation[] {
    return this.#violations;
  }

  /** Of the campaign that came to rest last. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  observe(observation: Observation): void {
    switch (observation.kind) {
      case 'start':
        this.#start(observation);
        break;
      case 'boot':
        this.#boot(observation);
        break;
      case 'erase':
        this.#erase(observation);
        break;
      case 'driver':
        this.#driver(observation);
        break;
      case 'informed':
        if (this.#step !== undefined) this.#step.informed = true;
        break;
      case 'asked':
        if (this.#step?.activated.has(observation.ecu)) this.#step.asked.add(observation.ecu);
        break;
      case 'confirmed':
        this.#confirmed(observation);
        break;
      case 'counter':
        this.#counter(observation);
        break;
      case 'rest':
        this.#rest(observation);
        break;
      case 'recovered':
        this.#recovered(observation);
        break;
      case 'failed':
        this.#broken(observation.invariant, observation.atMs, observation.text);
        break;
      default:
        assertNever(observation);
    }
  }

  #start(start: Of<'start'>): void {
    const planned = ECU_NAMES.filter((ecu) => start.truths[ecu].sha256 !== start.wanted[ecu]);
    this.#ending = undefined;
    this.#step = {
      start,
      planned,
      activated: new Set(),
      asked: new Set(),
      confirmed: new Set(),
      informed: false,
    };
    for (const ecu of ECU_NAMES) this.#seenCounter(ecu, start.truths[ecu].counter, start.atMs);
  }

  #boot({ ecu, sha256, imageCounter, counter, atMs }: Of<'boot'>): void {
    this.#seenCounter(ecu, counter, atMs);
    if (sha256 === undefined) return;
    if (!this.#options.released()[ecu].has(sha256)) {
      const text = `${ecu} started bytes that nobody released for it: ${short(sha256)}`;
      this.#broken('unverified-boot', atMs, text);
    }
    if (imageCounter < counter) {
      const text = `${ecu} started an image with counter ${imageCounter}, confirmed was ${counter}`;
      this.#broken('counter', atMs, text);
    }
    if (sha256 === this.#step?.start.wanted[ecu]) this.#step.activated.add(ecu);
  }

  #driver({ answer, campaign, atMs }: Of<'driver'>): void {
    if (answer === 'approved') {
      this.#approval = { campaign, endedMs: undefined };
    } else if (answer === 'withdrawn') {
      if (this.#approval?.campaign === campaign) this.#approval.endedMs ??= atMs;
    } else {
      this.#approval = undefined;
    }
  }

  #erase({ ecu, atMs }: Of<'erase'>): void {
    if (!this.#options.approvalNeeded) return;
    if (this.#step?.start.forced === true) {
      if (!this.#step.informed) {
        this.#broken('unapproved-erase', atMs, `${ecu} was erased, and nobody had told the driver`);
      }
      return;
    }
    const approval = this.#approval;
    if (approval === undefined) {
      this.#broken('unapproved-erase', atMs, `${ecu} was erased, and nobody had approved that`);
    } else if (
      approval.endedMs !== undefined &&
      atMs - approval.endedMs > this.#options.withdrawalGraceMs
    ) {
      const sinceMs = Math.round(atMs - approval.endedMs);
      const text = `${ecu} was erased ${sinceMs} ms after the approval was withdrawn`;
      this.#broken('unapproved-erase', atMs, text);
    }
  }

  #confirmed({ ecu, truth, atMs }: Of<'confirmed'>): void {
    const step = this.#step;
    if (step === undefined) return;
    const early = step.planned.filter((other) => !step.activated.has(other));
    if (early.length > 0) {
      const text = `${ecu} was confirmed before ${early.join(', ')} had started the new software`;
      this.#broken('early-confirm', atMs, text);
    }
    const unasked = step.planned.filter(
      (other) => step.activated.has(other) && !step.asked.has(other),
    );
    if (unasked.length > 0) {
      const text = `${ecu} was confirmed, and nobody had asked ${unasked.join(', ')} what it runs`;
      this.#broken('early-confirm', atMs, text);
    }
    const known = new Set(step.start.truths[ecu].troubleCodes);
    const fresh = truth.troubleCodes.filter((code) => !known.has(code));
    if (fresh.length > 0) {
      const codes = fresh.map((code) => code.toString(16).toUpperCase().padStart(6, '0'));
      const text = `${ecu} was confirmed with new trouble codes: ${codes.join(', ')}`;
      this.#broken('unhealthy-confirm', atMs, text);
    }
    step.confirmed.add(ecu);
  }

  #counter({ ecu, counter, atMs }: Of<'counter'>): void {
    const rises = counter > (this.#counters.get(ecu) ?? 0);
    this.#seenCounter(ecu, counter, atMs);
    const step = this.#step;
    // A counter that an earlier campaign owed may rise while this one has not touched its ECU.
    if (!rises || step === undefined || !step.planned.includes(ecu) || !step.activated.has(ecu)) {
      return;
    }
    const missing = step.planned.filter((other) => !step.confirmed.has(other));
    if (missing.length > 0) {
      const text = `the counter of ${ecu} rose to ${counter} before ${missing.join(', ')} was confirmed`;
      this.#broken('early-counter', atMs, text);
    }
  }

  #rest(rest: Of<'rest'>): void {
    const step = this.#step;
    if (step === undefined) throw new Error('rest without start');
    const { truths, atMs, reports } = rest;
    for (const ecu of ECU_NAMES) this.#seenCounter(ecu, truths[ecu].counter, atMs);
    this.#checkReports(rest);
    const fresh = reports.slice(this.#reportsBefore);
    this.#reportsBefore = reports.length;
    const last = fresh.at(-1);
    const after = (want: (ecu: EcuName) => string | undefined): boolean =>
      ECU_NAMES.every((ecu) => truths[ecu].sha256 === want(ecu));
    const isNew = after((ecu) => step.start.wanted[ecu]);
    const isOld = after((ecu) => step.start.truths[ecu].sha256);
    const declared = last?.outcome === 'ROLLBACK_FAILED';
    if (!isNew && !isOld && !declared) {
      this.#broken(
        'mixture',
        atMs,
        `after ${last?.outcome ?? 'nothing'}: ${mixture(step, truths)}`,
      );
    }
    this.#judge(step, rest, last, isNew, isOld);
    if (!declared) {
      for (const ecu of ECU_NAMES) {
        const { standing } = truths[ecu];
        if (standing !== 'settled') this.#broken('unsettled', atMs, `${ecu} is left ${standing}`);
      }
      for (const ecu of rest.imageless) {
        this.#broken('dead', atMs, `${ecu} has no image to run, and nobody said so`);
      }
    }
    for (const machine of rest.dead) this.#broken('dead', atMs, `${machine} does not run`);
    for (const ecu of rest.silent) {
      if (declared && rest.imageless.includes(ecu)) continue;
      this.#broken('traffic', atMs, `${ecu} does not send its normal traffic`);
    }
    this.#approval = declared ? this.#approval : undefined;
  }

  #recovered({ truths, reports, atMs }: Of<'recovered'>): void {
    const step = this.#step;
    if (step === undefined) throw new Error('recovered without start');
    this.#reportsBefore = reports.length;
    this.#approval = undefined;
    const same = (want: (ecu: EcuName) => string | undefined): boolean =>
      ECU_NAMES.every((ecu) => truths[ecu].sha256 === want(ecu));
    const isWhole =
      same((ecu) => step.start.wanted[ecu]) || same((ecu) => step.start.truths[ecu].sha256);
    if (!isWhole) this.#broken('recovery', atMs, `after it: ${mixture(step, truths)}`);
    for (const ecu of ECU_NAMES) {
      this.#seenCounter(ecu, truths[ecu].counter, atMs);
      if (isMadeGood(truths[ecu])) continue;
      const { standing, counter, imageCounter: image } = truths[ecu];
      const text = `${ecu} is ${standing} with counter ${counter}, that of its image is ${image}`;
      this.#broken('recovery', atMs, text);
    }
  }

  /** The last report against the bytes. */
  #judge(
    step: Step,
    { truths, atMs, released }: Of<'rest'>,
    last: ReportRow | undefined,
    isNew: boolean,
    isOld: boolean,
  ): void {
    const { proof } = step.start;
    if (last === undefined) {
      this.#broken('report', atMs, 'the campaign has ended, and the backend knows of no outcome');
      return;
    }
    const told = `${last.outcome}${last.code === null ? '' : ` (${last.code})`}`;
    if (last.outcome === 'SUCCESS') {
      this.#ending = 'success';
      if (!isNew) {
        this.#broken('outcome', atMs, `SUCCESS was reported: ${mixture(step, truths)}`);
      }
    } else if (last.outcome === 'ROLLBACK_FAILED') {
      this.#ending = 'safeState';
      // An ECU that nobody confirmed may have gone back by itself since.
      if (!isOld) this.#checkMixedState(last, truths, released, atMs);
    } else {
      this.#ending = ROLLED_BACK.has(last.outcome) ? 'rolledBack' : 'rejected';
      if (!isOld) this.#broken('outcome', atMs, `${told} was reported: ${mixture(step, truths)}`);
    }
    if (!proof) return;
    if (last.outcome !== 'SUCCESS') {
      this.#broken('proof', atMs, `the campaign without faults ended as ${told}`);
    }
    for (const ecu of ECU_NAMES) {
      const { counter, imageCounter } = truths[ecu];
      if (last.outcome === 'SUCCESS' && counter !== imageCounter) {
        const text = `${ecu} runs an image with counter ${imageCounter}, its own is still ${counter}`;
        this.#broken('proof', atMs, text);
      }
    }
  }

  #checkReports({ reports, told, atMs }: Of<'rest'>): void {
    const seen = new Set<string>();
    for (const { campaign, outcome } of reports) {
      const key = `${campaign} ${outcome}`;
      if (seen.has(key)) this.#broken('report', atMs, `${outcome} of ${campaign} came twice`);
      seen.add(key);
    }
    for (const { campaign, outcome } of told) {
      if (!seen.has(`${campaign} ${outcome}`)) {
        this.#broken('report', atMs, `${outcome} of ${campaign} never came to the backend`);
      }
    }
  }

  /** Of each ECU in the report: the version in its bytes, or why the ECU could not be asked. */
  #checkMixedState(report: ReportRow, truths: Truths, released: Released, atMs: number): void {
    for (const { name, version, error } of report.ecus) {
      if (error !== null) continue;
      const ecu = ECU_NAMES.find((known) => known === name);
      const { sha256 } = ecu === undefined ? { sha256: undefined } : truths[ecu];
      if (ecu === undefined || sha256 === undefined || version === null) continue;
      const really = released[ecu].get(sha256) ?? 'nothing released';
      if (really !== version) {
        const text = `${ecu} runs ${really}, the declared mixed state says ${version}`;
        this.#broken('mixed-state-report', atMs, text);
      }
    }
  }

  #seenCounter(ecu: EcuName, counter: number, atMs: number): void {
    const before = this.#counters.get(ecu) ?? 0;
    if (counter < before) {
      this.#broken('counter', atMs, `the counter of ${ecu} fell from ${before} to ${counter}`);
    }
    this.#counters.set(ecu, Math.max(before, counter));
  }

  #broken(invariant: InvariantName, atMs: number, text: string): void {
    const campaign = this.#step?.start.campaign ?? 0;
    // One line for each thing that is wrong, however often it was seen.
    const known = this.#violations.some(
      (other) =>
        other.invariant === invariant && other.campaign === campaign && other.text === text,
    );
    if (!known) this.#violations.push({ invariant, campaign, atMs, text });
  }
}

/** Nothing is on trial, pending or owed. */
export function isMadeGood({ standing, counter, imageCounter }: EcuTruth): boolean {
  return standing === 'settled' && counter === imageCounter;
}

function mixture({ start }: Step, truths: Truths): string {
  return ECU_NAMES.map((ecu) => {
    const { sha256, standing } = truths[ecu];
    const isNew = sha256 === start.wanted[ecu];
    const isOld = sha256 === start.truths[ecu].sha256;
    const what = isNew && isOld ? 'unchanged' : isNew ? 'new' : isOld ? 'old' : short(sha256);
    return `${ecu} ${what}${standing === 'settled' ? '' : ` (${standing})`}`;
  }).join(', ');
}

function short(sha256: string | undefined): string {
  return sha256 === undefined ? 'nothing' : `${sha256.slice(0, 12)}...`;
}
