// What the driver is asked, made out of the plan and the vehicle file.

import type { Plan } from '../campaign/plan.ts';
import type { ApprovalQuestion } from '../campaign/ports.ts';
import type { Campaign } from '../campaign/state.ts';
import { type ApprovalFacts, MAX_FACTS_BYTES } from '../vehicle/approval.ts';
import { busOf, findEcu } from '../vehicle/load.ts';
import type { Vehicle } from '../vehicle/schema.ts';

/** The wire carries at most this many (`approvalFactsSchema`). */
const MAX_ECUS = 32;
/** Restart, self test and the requests around the transfer. */
const SECONDS_PER_ECU = 5;

export function questionOf(
  campaign: Campaign,
  vehicle: Vehicle,
  timeoutSeconds: number,
): ApprovalQuestion {
  return {
    campaignId: campaign.id,
    planDigest: campaign.planDigest,
    nonce: campaign.nonce,
    facts: factsOf(campaign.plan, vehicle, timeoutSeconds),
  };
}

/** Notes are shortened until everything fits into one message. */
export function factsOf(plan: Plan, vehicle: Vehicle, timeoutSeconds: number): ApprovalFacts {
  for (const noteLength of [400, 200, 100, 50, 0]) {
    const facts = build(plan, vehicle, timeoutSeconds, noteLength);
    const bytes = new TextEncoder().encode(JSON.stringify(facts)).length;
    if (bytes <= MAX_FACTS_BYTES || noteLength === 0) return facts;
  }
  throw new Error('unreachable: the last length is always taken');
}

function build(
  plan: Plan,
  vehicle: Vehicle,
  timeoutSeconds: number,
  noteLength: number,
): ApprovalFacts {
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
    purpose: plain(`New software for ${names}`, 400),
    ecus,
    durationSeconds: Math.min(86_400, durationSeconds(plan, vehicle)),
    unavailable: [...new Set(lost)].slice(0, MAX_ECUS),
    instructions: 'Park the vehicle, leave the ignition on, and do not drive until it is done.',
    timeoutSeconds: Math.min(3600, Math.max(1, Math.round(timeoutSeconds))),
  };
}

/**
 * From the bus rates: with average stuffing and blocks of 4,095 bytes a classic bus carries 0.478 of its bit rate
 * (29.9 kB/s at 500 kbit/s), CAN FD with 64 bytes 0.708 of its data rate at 500k/2M (177 kB/s).
 */
export function durationSeconds(plan: Plan, vehicle: Vehicle): number {
  let seconds = 0;
  for (const item of plan.items) {
    const ecu = findEcu(vehicle, item.ecu);
    const bus = vehicle.buses[busOf(vehicle, ecu)]!;
    const bytesPerSecond =
      ecu.fd === false ? (bus.bitrate * 0.478) / 8 : (bus.dataBitrate * 0.708) / 8;
    seconds += item.download.size / bytesPerSecond + SECONDS_PER_ECU;
  }
  return Math.ceil(seconds);
}

/** One line without control characters and without those that turn the writing direction; see approval.ts. */
function plain(text: string, max: number): string {
  const clean = text
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
  // Whole characters: a cut surrogate pair would not survive UTF-8.
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
