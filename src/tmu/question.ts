// Builds the approval request for the driver from the plan and the vehicle file.

import type { Plan } from '../campaign/plan.ts';
import type { ApprovalPhase, ApprovalQuestion, ConditionQuery } from '../campaign/ports.ts';
import type { Campaign } from '../campaign/state.ts';
import { present } from '../core/present.ts';
import { type ApprovalFacts, MAX_FACTS_BYTES } from '../vehicle/approval.ts';
import { busOf } from '../vehicle/check-references.ts';
import { findEcu } from '../vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { hasOneBank } from './ranks.ts';

/** ECUs that fit into one message (`approvalFactsSchema`). */
const MAX_ECUS = 32;
/** Time for restart, self test and the requests around the transfer. */
const SECONDS_PER_ECU = 5;

export interface QuestionOptions {
  readonly vehicle: Vehicle;
  readonly phase: ApprovalPhase;
  /** How long the driver may take to answer. */
  readonly timeoutSeconds: number;
  /** The driver is told, not asked. */
  readonly informOnly?: boolean;
}

export function questionOf(campaign: Campaign, options: QuestionOptions): ApprovalQuestion {
  return {
    campaignId: campaign.id,
    planDigest: campaign.planDigest,
    nonce: campaign.nonce,
    phase: options.phase,
    facts: factsOf(campaign.plan, options),
  };
}

/** Whether the plan is a safety release: every release in it was signed as one, and the driver cannot refuse it. */
export function isForced(plan: Plan): boolean {
  return plan.items.every(({ forced }) => forced);
}

/** Release notes are shortened until everything fits into one message. */
export function factsOf(plan: Plan, options: QuestionOptions): ApprovalFacts {
  for (const noteLength of [400, 200, 100, 50, 0]) {
    const facts = build(plan, options, noteLength);
    const bytes = new TextEncoder().encode(JSON.stringify(facts)).length;
    if (bytes <= MAX_FACTS_BYTES || noteLength === 0) return facts;
  }
  throw new Error('unreachable: the last length is always taken');
}

const INSTRUCTIONS: Readonly<Record<ApprovalPhase, string>> = {
  download: 'Nothing to do: the vehicle stays as it is while the software is fetched.',
  install: 'Park the vehicle, leave the ignition on, and do not drive until it is done.',
  activate: 'Keep the vehicle parked, leave the ignition on, and do not drive until it is done.',
};

function build(plan: Plan, options: QuestionOptions, noteLength: number): ApprovalFacts {
  const { vehicle, phase, timeoutSeconds, informOnly } = options;
  const forced = isForced(plan);
  const shown = plan.items.length > MAX_ECUS ? plan.items.slice(0, MAX_ECUS - 1) : plan.items;
  const ecus = shown.map((item) => ({
    name: item.ecu,
    from: plain(item.from.version, 32),
    to: plain(item.to.version, 32),
    changes: plain(item.notes, noteLength),
  }));
  if (shown.length < plan.items.length) {
    const rest = `${plan.items.length - shown.length} more`;
    ecus.push({ name: 'OTHERS', from: '', to: '', changes: rest });
  }
  const names = shown.map(({ ecu }) => ecu).join(', ');
  const lost = plan.items
    .map(({ ecu }) => plain(findEcu(vehicle, ecu).unavailable, 80))
    .filter((text) => text !== '');
  return {
    vin: plan.vin,
    phase,
    forced,
    ...(informOnly === true && !forced ? { informOnly: true as const } : {}),
    purpose: plain(`${forced ? 'Safety update' : 'New software'} for ${names}`, 400),
    ecus,
    durationSeconds: Math.min(86_400, updateSeconds(plan, vehicle, DURATION_FROM[phase])),
    unavailable: [...new Set(lost)].slice(0, MAX_ECUS),
    instructions: INSTRUCTIONS[phase],
    timeoutSeconds: Math.min(3600, Math.max(1, Math.round(timeoutSeconds))),
  };
}

/** From which gate on the work remains when the driver is asked. */
const DURATION_FROM = { download: 'stage', install: 'stage', activate: 'activate' } as const;

/** How long the update takes from a gate on. */
export function updateSeconds(plan: Plan, vehicle: Vehicle, from: 'stage' | 'activate'): number {
  let seconds = 0;
  for (const item of plan.items) {
    const ecu = findEcu(vehicle, item.ecu);
    seconds += SECONDS_PER_ECU;
    // At the activation the image is already in the other bank; a single bank is written only then.
    if (from === 'stage' || hasOneBank(ecu)) {
      seconds += transferSeconds(item.download.size, ecu, vehicle);
    }
  }
  return Math.ceil(seconds);
}

/** How long a rollback takes at worst: all banks switched back, single banks written again. */
export function rollbackSeconds(plan: Plan, vehicle: Vehicle): number {
  let seconds = 0;
  for (const item of plan.items) {
    const ecu = findEcu(vehicle, item.ecu);
    seconds += SECONDS_PER_ECU;
    // The previous image is assumed to be about as long as the new one.
    if (hasOneBank(ecu)) seconds += transferSeconds(item.download.size, ecu, vehicle);
  }
  return Math.ceil(seconds);
}

/**
 * Derived from the bus rates: with average stuffing and blocks of 4,095 bytes a classic bus carries 0.478 of its
 * bit rate (29.9 kB/s at 500 kbit/s), CAN FD with 64 bytes 0.708 of its data rate at 500k/2M (177 kB/s).
 */
function transferSeconds(bytes: number, ecu: VehicleEcu, vehicle: Vehicle): number {
  const name = busOf(vehicle, ecu);
  const bus = present(vehicle.buses[name], `bus ${name}`);
  const bytesPerSecond =
    ecu.fd === false ? (bus.bitrate * 0.478) / 8 : (bus.dataBitrate * 0.708) / 8;
  return bytes / bytesPerSecond;
}

/** The conditions of a gate, with the time that they have to hold: a battery has to last for the rollback, too. */
export function conditionQuery(
  plan: Plan,
  vehicle: Vehicle,
  gate: ConditionQuery['gate'],
): ConditionQuery {
  return {
    gate,
    updateSeconds: updateSeconds(plan, vehicle, gate),
    rollbackSeconds: rollbackSeconds(plan, vehicle),
  };
}

/** One line without control characters and without characters that change the writing direction; see approval.ts. */
function plain(text: string, max: number): string {
  const clean = text
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  // Cuts whole characters: half of a surrogate pair would not survive UTF-8.
  const characters = [...clean];
  if (clean.length <= max) return clean;
  if (max < 4) return '';
  let cut = '';
  for (const character of characters) {
    if (cut.length + character.length > max - 3) break;
    cut += character;
  }
  return `${cut}...`;
}
