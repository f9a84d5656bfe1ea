// checkMemory (31 0202): reads the target bank back and compares it with the signed digest.

import { equalBytes, toHex } from '../../../src/core/bytes.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import { type BankIndex, bankLetter, withBank } from '../boot/boot-record.ts';
import type { BootedEcu } from '../device.ts';
import { isPlain, plainVersion } from './plain.ts';
import { noteRefusedImage } from './readiness.ts';
import type { AcceptedRelease } from './release.ts';
import { type Permission, releaseOf } from './state.ts';

/** Status byte of checkMemory. */
const CheckResult = {
  correct: 0,
  /** The hash of the bank differs from that of the tester or of the metadata. */
  wrongHash: 1,
} as const;

export interface CheckInput {
  readonly permission: Permission;
  /** Whether the image was transferred in this session. */
  readonly transferred: boolean;
  /** The tester's digest, which can only turn a pass into a failure. */
  readonly expected: Uint8Array | undefined;
}

/**
 * Checks the target bank. An image with the signed hash becomes `valid` durably (`accepted`). A bank that is already
 * valid is compared with new metadata: it either becomes the image of the new release or fails the check. Throws
 * FlashFault, StorageError.
 */
export async function checkTargetBank(
  device: BootedEcu,
  { permission, transferred, expected }: CheckInput,
): Promise<{ readonly status: number; readonly accepted: boolean }> {
  const { flash, banks, ecu } = device;
  const bank = flash.targetBank;
  const before = flash.record.banks[bank];
  const release = releaseOf(permission);
  const found = await flash.digest(bank);
  const sha256 = toHex(found.sha256);
  const plain =
    release !== undefined && isPlain(ecu)
      ? {
          ...release.header,
          sha256,
          length: found.length,
          version: await plainVersion(device, bank, sha256),
        }
      : undefined;
  const signed = plain ?? release?.header ?? before;
  const wrong =
    sha256 === signed.sha256
      ? await wrongHash(device, bank, plain === undefined ? release?.header.hashes : undefined)
      : `SHA-256 ${sha256}, signed is ${signed.sha256}`;
  const asSigned = wrong === undefined && found.length === signed.length;
  const passed = asSigned && (expected === undefined || equalBytes(expected, found.sha256));
  // A valid bank with the image of another release is no attack; a bank whose bytes have changed is one.
  const changed = before.content === 'valid' && sha256 !== before.sha256;
  if (!asSigned && release !== undefined && (transferred || changed)) {
    const reason = `the bank has ${wrong ?? `${found.length} bytes, signed are ${signed.length}`}`;
    // A wrong first image is no attack, because it has no signature.
    if (permission.kind !== 'first-image') {
      await noteRefusedImage(device, 'IMAGE_MISMATCH', reason);
    }
    await device.resume.forget();
  }
  const accepted =
    passed &&
    release !== undefined &&
    !banks.targetIsNeeded(flash.record) &&
    (await makeValid(device, bank, { ...release, header: plain ?? release.header }));
  const { version } = signed;
  device.emit({ kind: 'check', bank: bankLetter(bank), passed, sha256, version });
  return { status: passed ? CheckResult.correct : CheckResult.wrongHash, accepted };
}

/** The first hash that does not match, with its value; Uptane requires that all listed hashes match. */
async function wrongHash(
  device: BootedEcu,
  bank: BankIndex,
  hashes: ImageHeader['hashes'] = {},
): Promise<string | undefined> {
  for (const name of ['sha384', 'sha512'] as const) {
    const signed = hashes[name];
    if (signed === undefined) continue;
    const actual = await device.flash.hash(bank, name);
    if (actual !== signed) return `${name} ${actual}, signed is ${signed}`;
  }
  return undefined;
}

/** Makes the bank valid, after storing its header. False when the bank was already valid for this release. */
async function makeValid(
  { flash, trust, banks, resume }: BootedEcu,
  bank: BankIndex,
  { header, record }: AcceptedRelease,
): Promise<boolean> {
  const { version, length, sha256 } = header;
  if (flash.record.banks[bank].content === 'valid') {
    const kept = await trust.bankRecord(bank);
    if (kept !== undefined && record !== undefined && equalBytes(kept, record)) return false;
  }
  await resume.forget();
  await trust.storeBankRecord(bank, record);
  // A single bank has no other image for a fall back, so the next boot runs this one.
  const proven = !banks.canSwitch;
  await flash.update((before) =>
    withBank(before, bank, { content: 'valid', version, length, sha256, proven }),
  );
  return true;
}
