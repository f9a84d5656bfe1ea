// A vehicle version manifest against the inventory (5.3.2.1 steps 3 and 4): complete, signed by each ECU, not replayed.

import type { ProblemCode } from '../../../src/contract/problem.ts';
import { present } from '../../../src/core/present.ts';
import { faultText } from '../../../src/trust/attack.ts';
import {
  checkManifest,
  checkVersionReport,
  type KnownVersions,
  type VersionReport,
} from '../../../src/trust/manifest.ts';
import type { PublicKeyJson } from '../../../src/trust/signing-key.ts';
import type { RegisteredDevice } from '../../platform/auth/identity.ts';
import type { StoredEcuReport } from '../vehicles/rows.ts';

/** Clocks of ECUs run a little differently from ours. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

export interface ManifestRefusal {
  readonly kind: 'refused';
  readonly code: Extract<ProblemCode, `MANIFEST_${string}`>;
  readonly detail: string;
}

export type ManifestResult =
  | {
      readonly kind: 'accepted';
      readonly reports: ReadonlyMap<string, VersionReport>;
      readonly knows: KnownVersions | undefined;
    }
  | ManifestRefusal;

export interface ManifestFacts {
  readonly vin: string;
  readonly primary: RegisteredDevice;
  /** The active ECUs of the vehicle, its Primary among them. */
  readonly inventory: readonly RegisteredDevice[];
  /** Serials of the vehicle that are registered but not active: what they say is not used. */
  readonly inactive: ReadonlySet<string>;
  /** The last report of each, by serial. */
  readonly known: ReadonlyMap<string, StoredEcuReport>;
  /**
   * A key of the role `time` was taken away: an ECU can have a time ahead of ours that the old key has signed, until its
   * next metadata bundle brings the Root that takes the time back.
   */
  readonly timeWasReset: boolean;
  readonly nowMs: number;
}

export function checkVehicleManifest(manifest: unknown, facts: ManifestFacts): ManifestResult {
  const { vin, primary, inventory, known } = facts;
  if (manifest === undefined || manifest === null) {
    return refuse('MANIFEST_MISSING', 'the check-in has no manifest');
  }
  const primaryKey = present(keyOf(primary), `the signing key of the Primary ${primary.serial}`);
  // The signature of the manifest matches the key of the Primary that sent it.
  const checked = checkManifest(manifest, primaryKey);
  if (!checked.ok) {
    const code = checked.code === 'MALFORMED' ? 'MANIFEST_MALFORMED' : 'MANIFEST_UNSIGNED';
    return refuse(code, faultText(checked));
  }
  const { reports, knows } = checked.value;
  if (checked.value.vin !== vin || checked.value.primary !== primary.serial) {
    return refuse(
      'MANIFEST_VEHICLE',
      `the manifest is of ${quoted(checked.value.vin)} and its Primary ${quoted(checked.value.primary)}: expected ${vin} and ${primary.serial}`,
    );
  }
  // Each ECU recorded in the inventory is also represented in the manifest.
  const missing = inventory.filter(({ serial }) => !Object.hasOwn(reports, serial));
  if (missing.length > 0) {
    return refuse('MANIFEST_INCOMPLETE', `no version report of ${missing.map(nameOf).join(', ')}`);
  }
  const bySerial = new Map(inventory.map((device) => [device.serial, device]));
  const accepted = new Map<string, VersionReport>();
  for (const [serial, signed] of Object.entries(reports)) {
    const device = bySerial.get(serial);
    if (device === undefined) {
      if (facts.inactive.has(serial)) continue;
      return refuse(
        'MANIFEST_UNKNOWN_ECU',
        `${quoted(serial)} is not registered for ${vin}: provision it, or take it out`,
      );
    }
    const last = known.get(serial);
    const result = checkReport(signed, device, { ...facts, primaryKey, last });
    if (result.kind === 'refused') return result;
    accepted.set(serial, result.report);
  }
  return { kind: 'accepted', reports: accepted, knows };
}

function checkReport(
  signed: unknown,
  device: RegisteredDevice,
  {
    primaryKey,
    last,
    timeWasReset,
    nowMs,
  }: Pick<ManifestFacts, 'timeWasReset' | 'nowMs'> & {
    readonly primaryKey: PublicKeyJson;
    readonly last: StoredEcuReport | undefined;
  },
): ManifestRefusal | { readonly kind: 'report'; readonly report: VersionReport } {
  // The signature of each Secondary's contribution matches its key. Who has none registered is an ECU of another
  // make, and its Primary speaks for it.
  const checked = checkVersionReport(signed, keyOf(device) ?? primaryKey, device.serial);
  if (!checked.ok) {
    const code = checked.code === 'MALFORMED' ? 'MANIFEST_MALFORMED' : 'MANIFEST_UNSIGNED';
    return refuse(code, `${nameOf(device)}: ${faultText(checked)}`);
  }
  const report = checked.value;
  // The time sent in the version report: an ECU can lag behind, it cannot know the future. After a reset of the time it
  // can have one from before: without an accepted manifest it would never get the bundle that takes that time back.
  const aheadMs = report.time === null ? 0 : Date.parse(report.time) - nowMs;
  if (!timeWasReset && !(aheadMs <= CLOCK_TOLERANCE_MS)) {
    const now = new Date(nowMs).toISOString();
    return refuse(
      'MANIFEST_TIME',
      `${nameOf(device)} says it is ${quoted(report.time ?? '')}, the clock of this server says ${now}: set that clock; ` +
        'where it is right and was wrong before, take the time back by can-ota keys reset-time',
    );
  }
  // Step 4: the counter has not been used before.
  if (last !== undefined && report.counter <= last.counter) {
    return refuse(
      'MANIFEST_REPLAYED',
      `${nameOf(device)} was heard with counter ${last.counter}, this report has ${report.counter}: send a new one`,
    );
  }
  return { kind: 'report', report };
}

/** As metadata writes it; undefined where none is registered. */
function keyOf(device: RegisteredDevice): PublicKeyJson | undefined {
  if (device.signingKey === undefined) return undefined;
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: device.signingKey } };
}

export function nameOf(device: RegisteredDevice): string {
  return device.name === undefined ? device.serial : `${device.name} (${device.serial})`;
}

function refuse(code: ManifestRefusal['code'], detail: string): ManifestRefusal {
  return { kind: 'refused', code, detail };
}

/** What a peer wrote, short enough for a log and a page. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
