// The signed header that an ECU stores with each bank and checks before every boot.

import { sha256 } from '@noble/hashes/sha2.js';
import { canonicalize } from '@tufjs/canonical-json';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { accepted, refused, type Verdict } from './attack.ts';
import { readDirector, type VerifiedTarget } from './director.ts';
import { furtherHashes } from './file-hash.ts';
import { checkSignatures, openEnvelope, rootAuthority, toTrusted } from './metadata.ts';
import { trustRoot } from './repository.ts';
import { hexDigits, plainText, serialName, sha256Hex } from './signed-json.ts';
import { parseJson } from './strict-json.ts';

const headerSchema = z.strictObject({
  /** Serial of the only ECU that may run the image. */
  serial: serialName,
  hardwareId: plainText(1, 128),
  /** Target name. */
  name: plainText(1, 256),
  version: plainText(1, 128),
  /** Length of the plain image in bytes. */
  length: z.int().nonnegative(),
  /** SHA-256 of the plain image, hexadecimal. */
  sha256: sha256Hex,
  /** All further hashes that were listed (Uptane 5.4.3.2). */
  hashes: z
    .strictObject({ sha384: hexDigits(96).optional(), sha512: hexDigits(128).optional() })
    .optional(),
  /** Release counter: after it is confirmed, no image with a lower one runs. */
  securityCounter: z.int().nonnegative(),
  /** Versions that other ECUs must run, by name: `{ INV: '>=1.0.0' }`. */
  dependencies: z.record(plainText(1, 128), plainText(1, 128)),
});
export type ImageHeader = Readonly<z.infer<typeof headerSchema>>;

const recordSchema = z.strictObject({
  format: z.literal('can-ota-bank-1'),
  header: headerSchema,
  /** The Director's Targets that assign the image, and the Root whose keys signed them, as received. */
  targets: z.string(),
  root: z.string(),
});

/** Longest record in bytes. A bundle on the bus has at most 256 KiB, so a longer record is damaged. */
const MAX_RECORD_BYTES = 1_048_576;

const WHERE = 'image header';

export function headerOf(target: VerifiedTarget): ImageHeader {
  const { serial, hardwareId, name, version, length, releaseCounter, dependencies } = target;
  const hashes = furtherHashes(target.hashes);
  return {
    serial,
    hardwareId,
    name,
    version,
    length,
    sha256: target.sha256,
    ...defined({ hashes }),
    securityCounter: releaseCounter,
    dependencies: { ...dependencies },
  };
}

/** `targets` and `root`: the verified files of the Director. Throws TypeError if they are not UTF-8. */
export function encodeBankRecord(
  header: ImageHeader,
  targets: Uint8Array,
  root: Uint8Array,
): Uint8Array {
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const record = {
    format: 'can-ota-bank-1',
    header,
    targets: utf8.decode(targets),
    root: utf8.decode(root),
  };
  return new TextEncoder().encode(JSON.stringify(record));
}

/**
 * Returns the header if the whole chain to it is valid: the Root is one of `acceptedRoots` (SHA-256, hex), its keys signed
 * the Targets, and these assign exactly this image to this ECU. Nothing expires here: a verified image runs until a newer
 * one is confirmed, and a vehicle that was parked for long still starts.
 *
 * MALFORMED, ARBITRARY_SOFTWARE, WRONG_ECU, IMAGE_MISMATCH (the header is not what was signed), and the faults of a
 * Director's Targets. The caller compares counter, hardware and the bytes of the bank.
 */
export function checkBankRecord(
  record: Uint8Array,
  acceptedRoots: ReadonlySet<string>,
  serial: string,
): Verdict<ImageHeader> {
  if (record.length > MAX_RECORD_BYTES) {
    return refused('MALFORMED', WHERE, `has ${record.length} bytes, ${MAX_RECORD_BYTES} are taken`);
  }
  const json = parseJson(record, WHERE);
  if (!json.ok) return json;
  const parsed = recordSchema.safeParse(json.value);
  if (!parsed.success) return refused('MALFORMED', WHERE, z.prettifyError(parsed.error));
  const { header, targets, root } = parsed.data;
  if (header.serial !== serial) {
    return refused('WRONG_ECU', WHERE, `is for ECU ${header.serial}, this is ${serial}`);
  }
  const assigned = assignedImage(bytesOf(root), bytesOf(targets), acceptedRoots, header);
  if (!assigned.ok) return assigned;
  const signed = headerOf(assigned.value);
  return canonicalize(header) === canonicalize(signed)
    ? accepted(signed)
    : refused('IMAGE_MISMATCH', WHERE, 'differs from what was signed about the image');
}

function assignedImage(
  root: Uint8Array,
  targets: Uint8Array,
  acceptedRoots: ReadonlySet<string>,
  { serial, hardwareId }: Pick<ImageHeader, 'serial' | 'hardwareId'>,
): Verdict<VerifiedTarget> {
  if (!acceptedRoots.has(toHex(sha256(root)))) {
    return refused('ARBITRARY_SOFTWARE', WHERE, 'its Root is not one that this ECU has accepted');
  }
  const trust = trustRoot(root, 'strict');
  if (!trust.ok) return refused(trust.code, WHERE, `Root: ${trust.reason}`);
  const file = openEnvelope('targets', targets, WHERE, 'strict');
  if (!file.ok) return file;
  const authority = rootAuthority(trust.value.root, 'targets');
  if (authority === undefined) throw new Error('a Root of the strict dialect has the role targets');
  const signed = checkSignatures(file.value, authority, WHERE);
  if (!signed.ok) return signed;
  const trusted = toTrusted('targets', file.value, WHERE, 'strict');
  if (!trusted.ok) return trusted;
  const ecus = [{ serial, hardwareId }];
  const rules = { dialect: 'strict', vin: undefined, ecus, primary: false } as const;
  const assigned = readDirector(trusted.value, rules);
  if (!assigned.ok) return assigned;
  const [target] = assigned.value;
  if (target !== undefined) return accepted(target);
  return refused('WRONG_ECU', WHERE, `its Targets have no image for ECU ${serial}`);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
