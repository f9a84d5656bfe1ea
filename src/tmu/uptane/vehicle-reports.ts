// The vehicle version manifest (Uptane 5.4.2.1): reports of all ECUs; the Primary signs its own and those of ECUs that
// cannot sign.

import { sha256 } from '@noble/hashes/sha2.js';
import type { EcuDriver } from '../../campaign/ports.ts';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { UNKNOWN_VERSION } from '../../core/version-order.ts';
import { faultText } from '../../trust/attack.ts';
import {
  readVersionReport,
  type SignedJson,
  signManifest,
  signVersionReport,
  type VersionReport,
} from '../../trust/manifest.ts';
import { versionsOf } from '../../trust/repository.ts';
import type { LocalSigner } from '../../trust/signing-key.ts';
import { findEcu } from '../../vehicle/load.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import type { TmuListener } from '../tmu-event.ts';
import type { InstalledImage } from '../trusted-source.ts';
import type { TrustFiles } from './trust-files.ts';

/** Software of the TMU itself; campaigns do not update it, but the Director knows it. */
export type OwnSoftware = VersionReport['installed'];

export interface VehicleReportsOptions {
  readonly vehicle: Vehicle;
  /** Serial of the TMU. */
  readonly serial: string;
  /** By name: the serials from the registry. */
  readonly serials: ReadonlyMap<string, string>;
  readonly signer: LocalSigner;
  readonly software: OwnSoftware;
  readonly driverFor: (ecu: string) => EcuDriver;
  readonly runs: (ecu: string) => InstalledImage | undefined;
  readonly files: TrustFiles;
  readonly clock: Clock;
  readonly emit: TmuListener;
}

export interface SignedReports {
  readonly manifest: SignedJson;
  /** Why an ECU has no report in the manifest, one sentence each. */
  readonly missing: readonly string[];
  /** Reports of an attack. By ECU: the counter that the ECU is told once the Director has the report. */
  readonly attacks: ReadonlyMap<string, number>;
}

/**
 * The signed manifest with a fresh report of every ECU. An ECU that does not answer is missing, and the Director has
 * to notice that. Undefined: interrupted. Throws StorageError.
 */
export async function vehicleManifest(
  options: VehicleReportsOptions,
  signal: AbortSignal,
): Promise<SignedReports | undefined> {
  const { vehicle, serial, serials, signer, emit } = options;
  const reports: Record<string, SignedJson> = {};
  const missing: string[] = [];
  const attacks = new Map<string, number>();
  for (const [ecu, ecuSerial] of serials) {
    const report = await ecuReport(options, ecu, ecuSerial, signal);
    if (signal.aborted) return undefined;
    if (typeof report === 'string') {
      emit({ kind: 'warning', ecu, text: report });
      missing.push(`${ecu}: ${report}`);
    } else if (report !== undefined) {
      reports[ecuSerial] = report.signed;
      if (report.attack) attacks.set(ecu, report.counter);
    }
  }
  reports[serial] = await ownReport(options, serial, options.software, options.files.attack ?? '');
  const { director, images } = options.files.trust;
  const knows = { director: versionsOf(director), images: versionsOf(images) };
  return {
    manifest: signManifest({ vin: vehicle.vin, primary: serial, reports, knows }, signer),
    missing,
    attacks,
  };
}

interface EcuReport {
  readonly signed: SignedJson;
  /** Whether it reports an attack. */
  readonly attack: boolean;
  readonly counter: number;
}

/** A sentence where there is no report; undefined: interrupted. */
async function ecuReport(
  options: VehicleReportsOptions,
  ecu: string,
  serial: string,
  signal: AbortSignal,
): Promise<EcuReport | string | undefined> {
  const { vehicle, driverFor, emit } = options;
  if (findEcu(vehicle, ecu).programming.metadata === 'skip') {
    const signed = await spokenFor(options, ecu, serial);
    return { signed, attack: false, counter: 0 };
  }
  const answer = await driverFor(ecu).versionReport(signal);
  if (signal.aborted) return undefined;
  if (!answer.ok) return `it gives no version report: ${answer.reason}`;
  if (answer.value === undefined) return 'it has no version report (DID FD22): provision it';
  // The Director checks the signature, because it knows the ECU's key. The form is checked here, because one
  // malformed report would spoil the whole manifest.
  const read = readVersionReport(answer.value, serial);
  if (!read.ok) return `its version report is left out: ${faultText(read)}`;
  const { attack, counter } = read.value.report;
  if (attack !== '') {
    const reason = `${ecu} has refused something with ${attack} since its last report`;
    emit({ kind: 'attack', code: attack, where: `version report of ${ecu}`, reason });
  }
  return { signed: read.value.signed, attack: attack !== '', counter };
}

/**
 * An ECU of another make signs nothing: the Primary, which has verified its image, reports what it knows of it.
 * Before its first update nothing is known; an empty file without a version stands for that.
 */
function spokenFor(
  options: VehicleReportsOptions,
  ecu: string,
  serial: string,
): Promise<SignedJson> {
  const image = options.runs(ecu);
  const version = image?.version ?? UNKNOWN_VERSION;
  const installed = {
    name: image?.name ?? `${ecu}-${version}`,
    version,
    length: image?.length ?? 0,
    hashes: { sha256: image?.sha256 ?? toHex(sha256(new Uint8Array())) },
  };
  return ownReport(options, serial, installed, '');
}

async function ownReport(
  { files, signer, clock }: VehicleReportsOptions,
  ecu: string,
  installed: VersionReport['installed'],
  attack: VersionReport['attack'],
): Promise<SignedJson> {
  const { floorMs } = files;
  const time = floorMs === 0 ? null : new Date(floorMs).toISOString();
  const counter = await files.nextCounter(clock.wallMs());
  return signVersionReport({ ecu, installed, attack, time, counter }, signer);
}
