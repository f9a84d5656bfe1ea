// What to do with the verified offers: nothing, or a plan. Pure.

import { hexNumber } from '../core/bytes.ts';
import { compareVersions, UNKNOWN_VERSION } from '../core/version-order.ts';
import { inRange } from '../core/version-range.ts';
import { LONGEST_MAP_BYTES } from '../image/canonical.ts';
import type { Plan } from './plan.ts';
import type { EcuIdentity, Offer } from './ports.ts';

/** The facts of an ECU in the vehicle file that the decision needs. */
export interface PlannedEcu {
  readonly name: string;
  readonly hardwareId: string;
  /** Bytes of an image that it holds. */
  readonly bankSize: number;
  /** Where its bank begins, for an ECU that takes images of one segment only. */
  readonly address?: number | undefined;
  /** Place in the order of activation, from 0; ECUs of the same rank are activated together. */
  readonly rank: number;
  readonly bus: string;
}

/** The image that an ECU is known to run. */
export interface Installed {
  readonly sha256: string | undefined;
  readonly version: string;
}

/** Offers for ECUs of this vehicle with a version that is not installed and not lower, in the order of activation. */
export function candidates(
  offers: readonly Offer[],
  ecus: readonly PlannedEcu[],
  installed: ReadonlyMap<string, Installed>,
): Offer[] {
  const wanted: Offer[] = [];
  for (const ecu of ecus) {
    const release = newest(offers.filter((offer) => offer.ecu === ecu.name));
    if (release === undefined) continue;
    const has = installed.get(ecu.name);
    if (has !== undefined && !isNews(release, has)) continue;
    wanted.push(release);
  }
  return wanted;
}

function newest(offers: readonly Offer[]): Offer | undefined {
  return offers.reduce<Offer | undefined>(
    (best, offer) =>
      best === undefined || compareVersions(offer.version, best.version) > 0 ? offer : best,
    undefined,
  );
}

function isNews(release: Offer, has: Installed): boolean {
  const order = compareVersions(release.version, has.version);
  if (order < 0) return false; // never to a lower version
  // The same version is a candidate only when the ECU reports that it holds other bytes.
  return has.sha256 === undefined ? order > 0 : has.sha256 !== release.sha256;
}

export type Decision =
  | { readonly kind: 'nothing' }
  /** An offer can never be installed in this vehicle. */
  | {
      readonly kind: 'impossible';
      readonly code: 'WRONG_HARDWARE' | 'IMAGE_TOO_LARGE' | 'IMAGE_MISPLACED' | 'DEPENDENCY';
      readonly ecu: string;
      readonly reason: string;
    }
  | { readonly kind: 'plan'; readonly plan: Plan };

/** Makes the plan from the candidates and from what each ECU has just reported. */
export function decide(
  vin: string,
  wanted: readonly Offer[],
  ecus: readonly PlannedEcu[],
  identities: ReadonlyMap<string, EcuIdentity>,
  installed: ReadonlyMap<string, Installed>,
): Decision {
  const items: Plan['items'] = [];
  for (const release of wanted) {
    const ecu = ecus.find((candidate) => candidate.name === release.ecu);
    const identity = identities.get(release.ecu);
    if (ecu === undefined || identity === undefined) continue;
    if (identity.hardwareId !== undefined && identity.hardwareId !== ecu.hardwareId) {
      return {
        kind: 'impossible',
        code: 'WRONG_HARDWARE',
        ecu: ecu.name,
        reason:
          `${ecu.name} says hardware id ${JSON.stringify(identity.hardwareId)}, the vehicle file expects ` +
          `${JSON.stringify(ecu.hardwareId)}: correct the vehicle file or fit the right ECU`,
      };
    }
    const begins = release.download.address;
    if (begins !== undefined && ecu.address !== undefined && begins !== ecu.address) {
      return {
        kind: 'impossible',
        code: 'IMAGE_MISPLACED',
        ecu: ecu.name,
        reason:
          `${release.targetName} begins at ${hexNumber(begins, 8)}, the bank of ${ecu.name} at ${hexNumber(ecu.address, 8)}: ` +
          'release the right image or correct memory.address in the vehicle file',
      };
    }
    // An image with several segments has a map before its data; its size without it is known when it is here.
    const longestMap = ecu.address === undefined ? LONGEST_MAP_BYTES : 0;
    if (release.size > ecu.bankSize + longestMap) {
      return {
        kind: 'impossible',
        code: 'IMAGE_TOO_LARGE',
        ecu: ecu.name,
        reason:
          `${release.targetName} has ${release.size} bytes, a bank of ${ecu.name} holds ${ecu.bankSize}: ` +
          'release a smaller image or correct memory.bankSize in the vehicle file',
      };
    }
    items.push({
      ecu: ecu.name,
      hardwareId: ecu.hardwareId,
      order: ecu.rank,
      bus: ecu.bus,
      forced: release.forced,
      from: { version: identity.version ?? UNKNOWN_VERSION, sha256: identity.sha256 ?? null },
      to: {
        version: release.version,
        sha256: release.sha256,
        size: release.size,
        releaseCounter: release.releaseCounter,
      },
      targetName: release.targetName,
      download: release.download,
      encryption: release.encryption?.method ?? null,
      notes: release.notes,
    });
  }
  if (items.length === 0) return { kind: 'nothing' };
  items.sort((a, b) => a.order - b.order);
  return unmetDependency(wanted, installed) ?? { kind: 'plan', plan: { vin, items } };
}

/**
 * Checks the dependencies of an image on other ECUs, which the image repository has signed. The Director obeys them,
 * but an attacker who controls the Director can ignore them and give the vehicle an untested combination.
 */
function unmetDependency(
  wanted: readonly Offer[],
  installed: ReadonlyMap<string, Installed>,
): Decision | undefined {
  for (const { ecu, version, dependencies } of wanted) {
    for (const [name, range] of Object.entries(dependencies)) {
      const other = wanted.find((offer) => offer.ecu === name)?.version;
      const runs = other ?? installed.get(name)?.version;
      if (inRange(runs, range)) continue;
      const now = runs === undefined ? 'an unknown version' : runs;
      const reason =
        `${ecu} ${version} needs ${name} ${range}, which ${other === undefined ? 'runs' : 'would run'} ${now}: ` +
        `release ${name} for it, or provision ${name} where it is not known`;
      return { kind: 'impossible', code: 'DEPENDENCY', ecu, reason };
    }
  }
  return undefined;
}
