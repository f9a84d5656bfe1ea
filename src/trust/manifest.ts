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

/** The report of one ECU about itself (5.4.2.1.2). */
export interface VersionReport {
  /** Its serial number. */
  readonly ecu: string;
  /** Name, length and hashes of the image as in its metadata. */
  readonly installed: {
    readonly name: string;
    readonly version: string;
    readonly length: number;
    readonly hashes: { readonly sha256: string };
  };
  /** The attack on the ECU since its last report; empty: none. */
  readonly attack: AttackCode | '';
  /** The latest verified time, `2030-01-31T12:00:00.000Z`; null before the first. */
  readonly time: string | null;
  /** Rises with every report, so that no report counts twice. */
  readonly counter: number;
}

/** The Primary's report about the whole vehicle (5.4.2.1.1). */
export interface VehicleManifest {
  readonly vin: string;
  /** Serial number of the Primary. */
  readonly primary: string;
  /** Reports by serial number, signed by the ECUs; the reader checks each with the key of its ECU. */
  readonly reports: Readonly<Record<string, SignedJson>>;
  /**
   * Versions of the metadata that the vehicle trusts: a backend with older ones was restored from a backup. Missing: the
   * vehicle does not report them.
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

/** Has one field more than the interface (`_type`): a signature of one kind of message is not valid for another kind. */
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

/** Reports inside a manifest only need a canonical form here: each is checked separately. */
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
 * Reads a version report without a check of its signature, for a Primary that puts an ECU's report into its manifest.
 * MALFORMED, or WRONG_ECU if it is about another ECU.
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
 * Reads bytes or parsed JSON. MALFORMED; UNSIGNED_REPORT without a valid signature of this key over the right hash; with
 * `serial` also WRONG_ECU. The Director checks whether the counter was seen before.
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

/** Throws ZodError for reports that no Director would accept: check them with `readVersionReport` before. */
export function signManifest(manifest: VehicleManifest, signer: LocalSigner): SignedJson {
  const { vin, primary, reports, knows } = manifest;
  const known = defined({ knows });
  const signed = { _type: 'version-manifest', vin, primary, reports, ...known };
  return signJson(manifestSchema.parse(signed), [signer]);
}

/** Checks the Primary's signature; `input` is bytes or parsed JSON. Of the reports inside only the form is checked. */
export function checkManifest(input: unknown, primaryKey: PublicKeyJson): Verdict<VehicleManifest> {
  const read = readManifest(input);
  if (!read.ok) return read;
  return isSignedBy(read.value.signed, primaryKey)
    ? accepted(read.value.manifest)
    : unsigned(WHERE, 'Primary');
}

/** The Primary that a manifest names, before anything is proven: to find the key for `checkManifest`. */
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
