// What `can-ota flash` says: its phases by what is done to the ECU, and what is in the ECU at the end.

import type { CampaignEvent } from '../../campaign/event.ts';
import type { EcuStep } from '../../campaign/ports.ts';
import type { EcuContent, SingleResult, SingleStep } from '../../campaign/single.ts';
import { formatBytes, formatDuration, formatRate } from '../../core/units.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';

/** Names for machines. */
export type FlashPhase =
  | 'identify'
  | 'check'
  | 'program'
  | 'activate'
  | 'verify'
  | 'confirm'
  | 'raise-counter'
  | 'roll-back';

export function hasOneBank({ programming }: VehicleEcu): boolean {
  return programming.activation === 'reset';
}

/** A single bank is checked when others are staged, and programmed when others are activated. */
export function phaseOf(step: EcuStep | 'identify', ecu: VehicleEcu): FlashPhase {
  switch (step) {
    case 'stage':
      return hasOneBank(ecu) ? 'check' : 'program';
    case 'activate':
      return hasOneBank(ecu) ? 'program' : 'activate';
    case 'commit':
      return 'raise-counter';
    default:
      return step;
  }
}

export interface Programmed {
  readonly ecu: VehicleEcu;
  /** Letter of the bank that is written, where there are two. */
  readonly bank: string | undefined;
  /** Version that was given for the image; undefined: none was given. */
  readonly version: string | undefined;
}

/** Undefined: nothing is asked of such an ECU in this step. */
export function stepText(
  { step, changed, tries, ...rest }: SingleStep,
  { ecu, bank, version }: Programmed,
): string | undefined {
  if (rest.status === 'done') {
    // The version that an OpenBLT board is said to run is the one that was given here.
    const named = ecu.programming.protocol === 'openblt' ? undefined : version;
    return doneText(rest.event, hasOneBank(ecu), tries, named);
  }
  // Another try was announced with its reason.
  if (tries > 0) return undefined;
  const { identify, metadata } = ecu.programming;
  const oneBank = hasOneBank(ecu);
  switch (step) {
    case 'stage':
      if (!oneBank) return bank === undefined ? 'programming' : `programming (bank ${bank})`;
      return identify === 'skip' ? undefined : 'checking';
    case 'activate':
      return oneBank ? 'programming' : 'activating';
    case 'verify':
      return identify === 'skip' ? undefined : 'verifying';
    case 'confirm':
      return oneBank && metadata === 'skip' ? undefined : 'confirming';
    case 'commit':
      return metadata === 'skip' ? undefined : 'raising its security counter';
    case 'roll-back':
      return changed === 'yes' && !oneBank ? 'rolling back' : 'asking what it runs now';
  }
}

/** The restart of an ECU with one bank is a part of its activation. Verified is only what was compared. */
function doneText(
  event: CampaignEvent,
  oneBank: boolean,
  tries: number,
  named: string | undefined,
): string | undefined {
  const isWritten = event.kind === (oneBank ? 'activated' : 'staged');
  if (isWritten && event.bytes === 0) {
    return tries === 0 ? 'holds this image already' : undefined;
  }
  if (!oneBank) return undefined;
  if (event.kind === 'activated') return 'restarted';
  if (event.kind !== 'verified') return undefined;
  const { version, sha256 } = event;
  const isCompared = sha256 !== null || (version !== null && named !== undefined);
  return isCompared ? 'verified' : undefined;
}

/** `EDT: 1.0.0 -> 2.0.0, 50.0 kB in 2 s, 25 kB/s` */
export function successText(result: Extract<SingleResult, { ok: true }>): string {
  const { from, report, bytes, seconds, resumedAt, heldAlready } = result;
  const isTold = from !== undefined || report.version !== undefined;
  const versions = isTold ? `${from ?? 'unknown'} -> ${report.version ?? 'unknown'}` : 'programmed';
  if (heldAlready) return `${versions}, it held this image already`;
  if (bytes === 0) return `${versions}, an earlier try had carried the image`;
  const carried = `${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}, ${formatRate(rateOf(result))}`;
  return resumedAt === undefined
    ? `${versions}, ${carried}`
    : `${versions}, ${carried}; it held the first ${formatBytes(resumedAt)} already`;
}

/** bytes/s */
export function rateOf({ bytes, seconds }: { bytes: number; seconds: number }): number {
  return seconds > 0 ? bytes / seconds : 0;
}

/** What was seen in the ECU after the failure, and what to do. */
export function contentText(name: string, content: EcuContent): string {
  switch (content.kind) {
    case 'unchanged':
      return `nothing was changed in ${name}`;
    case 'as-before':
      return content.version === undefined
        ? `${name} runs the image that it ran before`
        : `${name} runs what it ran before: ${content.version}`;
    case 'other': {
      const { version, sha256 } = content.report;
      return `${name} runs ${version ?? `an image with SHA-256 ${sha256}`} now, which is not what it ran before`;
    }
    case 'unfinished':
      return `${name} holds an unfinished image: ${content.reason}`;
    case 'not-restored':
      return `${name} could not be taken back: ${content.reason}`;
    case 'unknown':
      return `it is not known what ${name} runs now: ${content.reason}`;
  }
}
