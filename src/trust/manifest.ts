// Version reports of ECUs and the vehicle version manifest of the Primary (Uptane 5.4.2.1), signed and checked.

import { z } from 'zod';
import { defined } from '../core/optional.ts';
import { ATTACKS, type AttackCode, accepted, refused, type Verdict } from './attack.ts';
import {
  isCanonical,
  isoTime,
  isSignedBy,
  plainText,
  readSigned,
  type SignedJson,
  serialName,
  sha256Hex,
  signedSchema,
  signJson,
} from './signed-json.ts';
import type { LocalSigner, PublicKeyJson } from './signing-key.ts';

export type { SignedJson } from './signed-json.ts';

/** What one ECU says about itself (5.4.2.1.2). */
export interface VersionReport {
  /** Its serial number. */
  readonly ecu: string;
  /** Name, length and hashes as the metadata of this image has them. */
  readonly installed: {
    readonly name: string;
    readonly version: string;
    readonly length: number;
    readonly hashes: { readonly sha256: string };
  };
  /** What was tried against it since its last report; empty: nothing. */
  readonly attack: AttackCode | '';
  /** The latest time that it could verify, `2030-01-31T12:00:00.000Z`; null before the first. */
  readonly time: string | null;
  /** Rises with every report, so that none counts twice. */
  readonly counter: number;
}

/** What the Primary sends about the whole vehicle (5.4.2.1.1). */
export interface VehicleManifest {
  readonly vin: string;
  /** Serial number of the Primary. */
  readonly primary: string;
  /** By serial number, as each ECU has signed it; whoever reads them checks each with that ECU's key. */
  readonly reports: Readonly<Record<string, SignedJson>>;
  /**
   * Versions of the metadata that the vehicle trusts: a backend that is behind them was restored from a backup. Missing:
   * the vehicle does not say.
   */
  readonly knows?: KnownVersions | undefined;
}

/** Metadata versions of both repositories. */
export type KnownVersions = Readonly<z.infer<typeof knownVersions>>;

const version = z.int().positive();
const knownRoles = z
  .strictObject({
    root: version,
    timestamp: version.optional(),
    snapshot: version.optional(),
    targets: version.optional(),
  })
  .readonly();
const knownVersions = z.strictObject({ director: knownRoles, images: knownRoles });

/** One more field than the interfaces have: a key that signs several things never signs one that reads as another. */
const reportSchema = z.strictObject({
  _type: z.literal('version-report'),
  ecu: serialName,
  installed: z.strictObject({
    name: plainText(1, 256),
    version: plainText(0, 64),
    length: z.int().nonnegative(),
    hashes: z.strictObject({ sha256: sha256Hex }),
  }),
  attack: z.enum(['', ...ATTACKS]),
  time: isoTime.nullable(),
  counter: z.int().nonnegative(),
});

const signedReport = signedSchema(reportSchema);

/** Reports inside a manifest may be wrong in every way that canonical JSON can hold: that is for their own check. */
const manifestSchema = z.strictObject({
  _type: z.literal('version-manifest'),
  vin: plainText(1, 64),
  primary: serialName,
  reports: z.record(
    serialName,
    signedSchema(
      z.unknown().refine((signed) => isCanonical(signed), 'expected JSON with a canonical form'),
    ),
  ),
  knows: knownVersions.optional(),
});

const signedManifest = signedSchema(manifestSchema);

export function signVersionReport(report: VersionReport, signer: LocalSigner): SignedJson {
  const { ecu, installed, attack, time, counter } = report;
  const { name, version, length, hashes } = installed;
  const signed = {
    _type: 'version-report',
    ecu,
    installed: { name, version, length, hashes: { sha256: hashes.sha256 } },
    attack,
    time,
    counter,
  };
  return signJson(reportSchema.parse(signed), [signer]);
}

/**
 * The form of a version report, whoever signed it: what a Primary can check of an ECU before it puts the report into
 * its manifest. MALFORMED, or WRONG_ECU where it is about another one.
 */
export function readVersionReport(
  input: unknown,
  serial: string,
): Verdict<{ readonly signed: SignedJson; readonly report: VersionReport }> {
  const where = `version report of ${serial}`;
  const read = readSigned(input, signedReport, where);
  if (!read.ok) return read;
  const { _type, ...report } = read.value.signed;
  if (report.ecu !== serial) {
    return refused('WRONG_ECU', where, `is about ${report.ecu}`);
  }
  return accepted({ signed: read.value, report });
}

/**
 * From bytes or parsed JSON. MALFORMED; UNSIGNED_REPORT without a right signature of this key over the right hash.
 * With `serial` also WRONG_ECU. Whether its counter was seen before is for the Director to know.
 */
export function checkVersionReport(
  input: unknown,
  publicKey: PublicKeyJson,
  serial?: string,
): Verdict<VersionReport> {
  const where = serial === undefined ? 'version report' : `version report of ${serial}`;
  const read = readSigned(input, signedReport, where);
  if (!read.ok) return read;
  if (!isSignedBy(read.value, publicKey)) return unsigned(where, 'ECU');
  const { _type, ...report } = read.value.signed;
  if (serial !== undefined && report.ecu !== serial) {
    return refused('WRONG_ECU', where, `is about ${report.ecu}`);
  }
  return accepted(report);
}

/** Throws ZodError for what no Director would accept: check reports with `readVersionReport` before. */
export function signManifest(manifest: VehicleManifest, signer: LocalSigner): SignedJson {
  const { vin, primary, reports, knows } = manifest;
  const known = defined({ knows });
  const signed = { _type: 'version-manifest', vin, primary, reports, ...known };
  return signJson(manifestSchema.parse(signed), [signer]);
}

/** From bytes or parsed JSON: the Primary's signature. The reports inside have been checked in their form only. */
export function checkManifest(input: unknown, primaryKey: PublicKeyJson): Verdict<VehicleManifest> {
  const read = readManifest(input);
  if (!read.ok) return read;
  return isSignedBy(read.value.signed, primaryKey)
    ? accepted(read.value.manifest)
    : unsigned(WHERE, 'Primary');
}

/** Who says that he has sent it, before anything is proven: to find the key for `checkManifest`. */
export function readManifest(
  input: unknown,
): Verdict<{ readonly signed: SignedJson; readonly manifest: VehicleManifest }> {
  const read = readSigned(input, signedManifest, WHERE);
  if (!read.ok) return read;
  const { _type, ...manifest } = read.value.signed;
  return accepted({ signed: read.value, manifest });
}

const WHERE = 'vehicle manifest';

function unsigned(where: string, whose: string): Verdict<never> {
  const reason = `no right signature of the registered key of this ${whose}: was it provisioned again?`;
  return refused('UNSIGNED_REPORT', where, reason);
}
