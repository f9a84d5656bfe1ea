// Words of the invariants for what ECUs run.

import type { EcuContents } from '../ecu-contents.ts';
import { ECU_NAMES, type EcuName } from '../machine-names.ts';
import type { VehicleContents } from '../vehicle-contents.ts';
import type { CampaignEnd, SeenCampaign } from './invariant.ts';

export function mixtureText({ start }: SeenCampaign, contents: VehicleContents): string {
  return ECU_NAMES.map((ecu) => {
    const { sha256, standing } = contents[ecu];
    const isNew = sha256 === start.wanted[ecu];
    const isOld = sha256 === start.contents[ecu].sha256;
    const what = isNew && isOld ? 'unchanged' : isNew ? 'new' : isOld ? 'old' : shortHash(sha256);
    return `${ecu} ${what}${standing === 'settled' ? '' : ` (${standing})`}`;
  }).join(', ');
}

export function shortHash(sha256: string | undefined): string {
  return sha256 === undefined ? 'nothing' : `${sha256.slice(0, 12)}...`;
}

export function outcomeText({ last }: CampaignEnd): string {
  if (last === undefined) return 'nothing';
  return `${last.outcome}${last.code === null ? '' : ` (${last.code})`}`;
}

/** Nothing is on trial, pending or owed. */
export function isMadeGood({ standing, counter, imageCounter }: EcuContents): boolean {
  return standing === 'settled' && counter === imageCounter;
}

/** Whether every ECU runs the image that `want` names. */
export function allRun(
  contents: VehicleContents,
  want: (ecu: EcuName) => string | undefined,
): boolean {
  return ECU_NAMES.every((ecu) => contents[ecu].sha256 === want(ecu));
}
