// Vehicles, what their ECUs said, reports and nonces, as they are stored.

import { z } from 'zod';
import {
  type CheckinTelemetry,
  checkinTelemetry,
} from '../../../src/contract/checkin-telemetry.ts';
import { bit, bytes, count, hex, json, tableRows, text, time } from '../../platform/db/row.ts';

/** `new`: has not checked in. `pending`: has something to install. Every state leads to another one or is final. */
const FLEET_STATES = ['new', 'pending', 'up-to-date', 'needs-attention'] as const;
export type FleetState = (typeof FLEET_STATES)[number];

export interface VehicleRecord {
  readonly vin: string;
  readonly state: FleetState;
  readonly reason: string;
  readonly stateSince: string;
  readonly checkedInAt: string | undefined;
  readonly manifestSha256: string | undefined;
  /** What the vehicle told of itself last, and when. */
  readonly telemetry: CheckinTelemetry | undefined;
  readonly telemetryAt: string | undefined;
  readonly decisionSha256: string | undefined;
  readonly targetsVersion: number;
  readonly snapshotVersion: number;
  readonly timestampVersion: number;
  readonly renewAt: string | undefined;
}

/** What an ECU said in its last version report (5.4.2.1). */
export interface StoredEcuReport {
  readonly serial: string;
  readonly counter: number;
  readonly file: string;
  readonly length: number;
  readonly sha256: string;
  /** The highest that it was ever seen with, 0 for none. */
  readonly releaseCounter: number;
  /** Empty where it has detected none. */
  readonly attack: string;
  readonly attackAt: string | undefined;
  /** The latest time that it could verify. */
  readonly time: string | undefined;
  readonly receivedAt: string;
}

export interface ReportEcu {
  readonly name: string;
  readonly hardwareId: string | undefined;
  readonly from: string | undefined;
  readonly version: string | undefined;
  readonly sha256: string | undefined;
  readonly error: string | undefined;
}

export interface ReceivedReport {
  readonly vin: string;
  readonly outcome: string;
  /** Finer than the outcome: FREEZE. */
  readonly code: string | undefined;
  readonly campaign: string | undefined;
  readonly reason: string | undefined;
  readonly warnings: readonly string[];
  readonly ecus: readonly ReportEcu[];
}

export interface StoredReport extends ReceivedReport {
  readonly id: string;
  readonly address: string;
  readonly receivedAt: string;
}

const vehicleRows = tableRows('vehicles', {
  vin: text,
  state: z.enum(FLEET_STATES),
  reason: text,
  state_since: time,
  checked_in_at: time.nullable(),
  manifest_sha256: hex.nullable(),
  telemetry: json(z.unknown()).nullable(),
  telemetry_at: time.nullable(),
  decision_sha256: hex.nullable(),
  targets_version: count,
  snapshot_version: count,
  timestamp_version: count,
  renew_at: time.nullable(),
});

export function vehicleOf(row: unknown): VehicleRecord {
  const vehicle = vehicleRows.read(row);
  return {
    vin: vehicle.vin,
    state: vehicle.state,
    reason: vehicle.reason,
    stateSince: vehicle.state_since,
    checkedInAt: vehicle.checked_in_at ?? undefined,
    manifestSha256: vehicle.manifest_sha256 ?? undefined,
    // An earlier version may have stored another form: nothing is decided by it.
    telemetry:
      vehicle.telemetry === null ? undefined : checkinTelemetry.safeParse(vehicle.telemetry).data,
    telemetryAt: vehicle.telemetry_at ?? undefined,
    decisionSha256: vehicle.decision_sha256 ?? undefined,
    targetsVersion: vehicle.targets_version,
    snapshotVersion: vehicle.snapshot_version,
    timestampVersion: vehicle.timestamp_version,
    renewAt: vehicle.renew_at ?? undefined,
  };
}

const ecuReportRows = tableRows('ecu_reports', {
  serial: text,
  counter: count,
  file: text,
  length: count,
  sha256: hex,
  release_counter: count,
  attack: text,
  attack_at: time.nullable(),
  verified_time: text.nullable(),
  received_at: time,
});

export function ecuReportOf(row: unknown): StoredEcuReport {
  const { release_counter, attack_at, verified_time, received_at, ...report } =
    ecuReportRows.read(row);
  return {
    ...report,
    releaseCounter: release_counter,
    attackAt: attack_at ?? undefined,
    time: verified_time ?? undefined,
    receivedAt: received_at,
  };
}

const metadataRows = tableRows('vehicle_metadata', {
  vin: text,
  role: text,
  version: count,
  bytes,
});
export const vehicleFileOf = metadataRows.only('bytes');

const reportRows = tableRows('reports', {
  id: text,
  vin: text,
  address: text,
  outcome: text,
  code: text.nullable(),
  campaign: text.nullable(),
  reason: text.nullable(),
  received_at: time,
  warnings: json(z.array(text)).nullable(),
  bytes: count,
  stranger: text.nullable(),
});

export function reportOf(row: unknown): Omit<StoredReport, 'ecus'> {
  const { id, vin, address, outcome, code, campaign, reason, received_at, warnings } =
    reportRows.read(row);
  return {
    ...{ id, vin, address, outcome },
    code: code ?? undefined,
    campaign: campaign ?? undefined,
    reason: reason ?? undefined,
    warnings: warnings ?? [],
    receivedAt: received_at,
  };
}

export const reportOwnerOf = reportRows.only('stranger');

const reportEcuRows = tableRows('report_ecus', {
  report_id: text,
  position: count,
  name: text,
  hardware_id: text.nullable(),
  from_version: text.nullable(),
  version: text.nullable(),
  sha256: text.nullable(),
  error: text.nullable(),
});

export function reportEcuOf(row: unknown): ReportEcu & { readonly reportId: string } {
  const ecu = reportEcuRows.read(row);
  return {
    reportId: ecu.report_id,
    name: ecu.name,
    hardwareId: ecu.hardware_id ?? undefined,
    from: ecu.from_version ?? undefined,
    version: ecu.version ?? undefined,
    sha256: ecu.sha256 ?? undefined,
    error: ecu.error ?? undefined,
  };
}

const nonceRows = tableRows('nonces', {
  hash: hex,
  address: text,
  vin: text.nullable(),
  release_id: text.nullable(),
  issued_at: time,
  expires_at: time,
  used_at: time.nullable(),
  file: text.nullable(),
  sent_bytes: count,
  last_sent: bit,
  ended_at: time.nullable(),
});
export const nonceOf = nonceRows.read;
