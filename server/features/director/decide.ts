// What each ECU of a vehicle should run (5.3.2.1 step 5): the newest that was released for it and fits the others.

import { compareVersions } from '../../../src/core/version-order.ts';
import { inRange } from '../../../src/core/version-range.ts';

/** An image that the image repository has signed. */
export interface SignedRelease {
  /** Target name, which is the public file name. */
  readonly name: string;
  readonly length: number;
  readonly hashes: Readonly<Record<string, string>>;
  readonly sha256: string;
  readonly ecu: string;
  readonly version: string;
  readonly hardwareIds: readonly string[];
  readonly releaseCounter: number;
  /** By ECU name: the range that its version must be in. */
  readonly dependencies: Readonly<Record<string, string>>;
  readonly encrypt: boolean;
  /** A safety release. */
  readonly forced: boolean;
  /** As it was signed: the Director repeats it. */
  readonly custom: Readonly<Record<string, unknown>>;
}

export interface AssignableEcu {
  readonly serial: string;
  readonly name: string;
  readonly hardwareId: string;
  /** Of the image that it reports. */
  readonly installedSha256: string | undefined;
  /** The highest release counter that it was ever seen with, 0 for none. */
  readonly highestCounter: number;
  /** Encrypted releases are for ECUs that can read them. */
  readonly canDecrypt: boolean;
}

export interface ImageAssignment {
  readonly ecu: AssignableEcu;
  readonly release: SignedRelease;
  readonly installed: boolean;
}

interface Choice {
  readonly ecu: AssignableEcu;
  /** The newest first. The last one is to stay as it is: what it runs, or `undefined` where that is not known. */
  readonly candidates: readonly (SignedRelease | undefined)[];
  at: number;
}

/** One decision for each ECU about which something can be said, in the order of `ecus`. */
export function decide(
  ecus: readonly AssignableEcu[],
  releases: readonly SignedRelease[],
): readonly ImageAssignment[] {
  const choices = ecus.map((ecu): Choice => {
    // What it runs must have been signed for it: bytes that were released for another ECU say nothing.
    const fitting = releases.filter((release) => isFor(release, ecu)).sort(newestFirst);
    const running = fitting.find((release) => release.sha256 === ecu.installedSha256);
    const newer = fitting
      .slice(0, running === undefined ? undefined : fitting.indexOf(running))
      // A vehicle never goes back (5.4.4.6): its ECUs would refuse, and call it an attack.
      .filter((release) => release.releaseCounter >= ecu.highestCounter);
    return { ecu, candidates: [...newer, running], at: 0 };
  });
  settle(choices);
  improve(choices);
  return choices.flatMap(({ ecu, candidates, at }) => {
    const release = candidates[at];
    if (release === undefined) return [];
    return [{ ecu, release, installed: release.sha256 === ecu.installedSha256 }];
  });
}

function isFor(release: SignedRelease, ecu: AssignableEcu): boolean {
  return (
    release.ecu === ecu.name &&
    release.hardwareIds.includes(ecu.hardwareId) &&
    (!release.encrypt || ecu.canDecrypt)
  );
}

function newestFirst(a: SignedRelease, b: SignedRelease): number {
  return (
    b.releaseCounter - a.releaseCounter ||
    compareVersions(b.version, a.version) ||
    (a.name < b.name ? -1 : 1)
  );
}

/** Goes down where something is missing until nothing is: each turn one step of one ECU, so it ends. */
function settle(choices: readonly Choice[]): void {
  for (;;) {
    const step = missing(choices);
    if (step === undefined) return;
    step.at++;
  }
}

/** An ECU that went down for another one that went down later can go up again. */
function improve(choices: readonly Choice[]): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const choice of choices) {
      const before = choice.at;
      for (choice.at = 0; choice.at < before; choice.at++) {
        if (missing(choices) === undefined) break;
      }
      changed ||= choice.at < before;
    }
  }
}

/**
 * The ECU that must take an older release, because it lacks something of another one or would take away what another
 * one runs on. Undefined when all fits, and where two images do not fit that are both installed already.
 */
function missing(choices: readonly Choice[]): Choice | undefined {
  for (const choice of choices) {
    const dependencies = choice.candidates[choice.at]?.dependencies ?? {};
    for (const [name, range] of Object.entries(dependencies)) {
      const other = choices.find(({ ecu }) => ecu.name === name);
      if (inRange(other?.candidates[other.at]?.version, range)) continue;
      if (canGoDown(choice)) return choice;
      if (other !== undefined && canGoDown(other)) return other;
    }
  }
  return undefined;
}

function canGoDown({ candidates, at }: Choice): boolean {
  return at < candidates.length - 1;
}
