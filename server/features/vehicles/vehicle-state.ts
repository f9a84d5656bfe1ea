// The state of a vehicle as it is shown: a vehicle that is pending for too long needs attention.

import type { VehicleRecord } from './rows.ts';

const DAY_MS = 24 * 3_600_000;
/** How long a vehicle with something to install may be silent. */
const SILENT_MS = DAY_MS;
/** A vehicle that checks in, and still has not installed it. */
const PENDING_MS = 7 * DAY_MS;

export function shownState(vehicle: VehicleRecord, nowMs: number): VehicleRecord {
  if (vehicle.state !== 'pending') return vehicle;
  const silentMs = nowMs - Date.parse(vehicle.checkedInAt ?? vehicle.stateSince);
  if (silentMs >= SILENT_MS) {
    return attention(vehicle, `no check-in for ${days(silentMs)}; ${vehicle.reason}`);
  }
  const pendingMs = nowMs - Date.parse(vehicle.stateSince);
  if (pendingMs >= PENDING_MS) {
    return attention(vehicle, `not done for ${days(pendingMs)}; ${vehicle.reason}`);
  }
  return vehicle;
}

function attention(vehicle: VehicleRecord, reason: string): VehicleRecord {
  return { ...vehicle, state: 'needs-attention', reason };
}

function days(ms: number): string {
  const count = Math.floor(ms / DAY_MS);
  return count === 1 ? 'a day' : `${count} days`;
}
