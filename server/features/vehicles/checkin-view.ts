// What a vehicle told of itself with its last check-in, for people and for programs.

import type { BusTelemetry, CheckinTelemetry } from '../../../src/contract/checkin-telemetry.ts';
import type { VehicleRecord } from './rows.ts';

/** As JSON for operators; `summary` is a sentence each. */
export function checkinJson(vehicle: VehicleRecord): Record<string, unknown> {
  const { vin, state, reason, checkedInAt, telemetry, telemetryAt } = vehicle;
  return {
    vin,
    state,
    reason,
    checkedInAt: checkedInAt ?? null,
    telemetryAt: telemetryAt ?? null,
    telemetry: telemetry ?? null,
    summary: telemetry === undefined ? [] : summaryOf(telemetry),
  };
}

/** For the page of a vehicle; undefined where it has told nothing. */
export function telemetryView({ telemetry, telemetryAt }: VehicleRecord) {
  if (telemetry === undefined || telemetryAt === undefined) return undefined;
  return { at: telemetryAt, facts: factsOf(telemetry), buses: telemetry.buses.map(busRow) };
}

/** `["daemon runs for 3 d 4 h", "supply 12.4 V", "bus can0: error active, load 12.3 % over 1 h"]` */
function summaryOf(telemetry: CheckinTelemetry): string[] {
  const { daemonUptimeS, systemUptimeS, supplyV, storage } = telemetry;
  return [
    `daemon runs for ${durationText(daemonUptimeS)}`,
    ...(systemUptimeS === undefined ? [] : [`machine runs for ${durationText(systemUptimeS)}`]),
    ...(supplyV === undefined ? [] : [`supply ${voltsText(supplyV)}`]),
    ...(storage === undefined ? [] : [`storage ${storageText(storage)}`]),
    ...telemetry.buses.map((bus) => {
      const { state, load, frames, lost, errors } = busRow(bus);
      return `bus ${bus.name}: ${state}, load ${load}, frames ${frames}, ${lost}, errors ${errors}`;
    }),
  ];
}

function factsOf({ daemonUptimeS, systemUptimeS, supplyV, storage }: CheckinTelemetry) {
  return [
    ['Daemon runs for', durationText(daemonUptimeS)],
    ['Machine runs for', systemUptimeS === undefined ? NOT_TOLD : durationText(systemUptimeS)],
    ['Supply', supplyV === undefined ? NOT_TOLD : voltsText(supplyV)],
    ['Storage', storage === undefined ? NOT_TOLD : storageText(storage)],
  ] as const;
}

const NOT_TOLD = 'not told';
const STATES: Readonly<Record<BusTelemetry['state'], string>> = {
  active: 'error active',
  warning: 'error warning',
  passive: 'error passive',
  'bus-off': 'bus-off',
  down: 'down',
};

interface BusRow {
  readonly name: string;
  readonly state: string;
  readonly tone: 'good' | 'calm' | 'bad';
  readonly load: string;
  readonly frames: string;
  readonly lost: string;
  readonly errors: string;
}

function busRow({
  name,
  state,
  load,
  frames,
  errors,
  dropped,
  errorCounters,
}: BusTelemetry): BusRow {
  const isBad = state === 'bus-off' || state === 'down' || state === 'passive';
  const counted = [
    ...(errors === undefined ? [] : [`${numberText(errors)} on the bus`]),
    ...(dropped === undefined ? [] : [`${numberText(dropped)} frames dropped`]),
    ...(errorCounters === undefined
      ? []
      : [`counters tx ${errorCounters.transmit}, rx ${errorCounters.receive}`]),
  ];
  return {
    name,
    state: STATES[state],
    tone: isBad ? 'bad' : state === 'active' ? 'good' : 'calm',
    load: load === undefined ? 'not measured' : loadText(load),
    frames: `${numberText(frames.sent)} sent, ${numberText(frames.received)} received`,
    lost: frames.lost === 0 ? 'none lost' : `${numberText(frames.lost)} lost`,
    errors: counted.length === 0 ? 'not measured' : counted.join('; '),
  };
}

/** `at least 12.3 % over 1 h` */
function loadText({ permille, overS, isLeast }: NonNullable<BusTelemetry['load']>): string {
  return `${isLeast ? 'at least ' : ''}${(permille / 10).toFixed(1)} % over ${durationText(overS)}`;
}

/** The two largest units: `3 d 4 h`, `2 h 5 min`, `40 s`. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, 'h', minutes % 60, 'min');
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** `12.4 V` */
function voltsText(volts: number): string {
  return `${volts.toFixed(1)} V`;
}

/** `1.2 GB free of 8 GB` */
function storageText({ freeBytes, totalBytes }: NonNullable<CheckinTelemetry['storage']>): string {
  return `${sizeText(freeBytes)} free of ${sizeText(totalBytes)}`;
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal, as disks are sold. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.95 of one unit would be shown as 1000.
  while (value >= 999.95 && unit < SIZES.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${SIZES[unit]}`;
}

function numberText(value: number): string {
  return value.toLocaleString('en');
}
