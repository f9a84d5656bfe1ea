// Secure boot: a bank starts only with a signed header that fits its bytes, this ECU, this chip and the counter.

import { toHex } from '../../../src/core/bytes.ts';
import { accepted, refused, type Verdict } from '../../../src/trust/attack.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import type { EcuMemory } from '../flash/memory.ts';
import { type BankIndex, bankLetter } from './boot-record.ts';

export type BootParts = Omit<EcuMemory, 'nv'>;

/** The signed facts of a bank's image. */
export interface VerifiedBank {
  /** Signed header; undefined for the factory image. */
  readonly header: ImageHeader | undefined;
  readonly securityCounter: number;
}

/**
 * Why this chip or its hardware is not the provisioned one; undefined when it is, or before the lock has bound them. A
 * copy of a flash does not run on another chip.
 */
export function bindingFault(parts: BootParts): string | undefined {
  const { identity, deviceId, hardwareId } = parts;
  if (identity.damaged !== undefined) return `the identity is damaged: ${identity.damaged}`;
  const { binding } = identity.content;
  if (binding === null) return undefined;
  const id = toHex(deviceId);
  if (binding.deviceId !== id) {
    return `provisioned was chip ${binding.deviceId}, this is chip ${id}: provision a new ECU`;
  }
  return binding.hardwareId === hardwareId
    ? undefined
    : `provisioned was hardware ${binding.hardwareId}, this is ${hardwareId}`;
}

/**
 * The checks after the hash of the bank (`FlashMemory.intact`): the signatures again, with any Root that this ECU has
 * accepted, and the header against ECU, bytes and counter. Expiry does not count here: a verified image may run until
 * a newer one is confirmed.
 */
export async function verifyBank(
  parts: BootParts,
  bank: BankIndex,
): Promise<Verdict<VerifiedBank>> {
  const { flash, identity, trust } = parts;
  // A virgin ECU holds the image of the factory, and nothing else can be programmed.
  if (!identity.locked) return accepted({ header: undefined, securityCounter: 0 });
  const where = `bank ${bankLetter(bank)}`;
  const stored = flash.record.banks[bank];
  const header = await signedHeader(parts, bank, where);
  // The lock has bound the factory image: it needs no metadata, and its counter is 0.
  const isFactory = stored.sha256 === identity.content.factoryImage?.sha256;
  if (!header.ok && !isFactory) return header;
  const securityCounter = header.ok ? header.value.securityCounter : 0;
  if (securityCounter < trust.counters.security) {
    return refused(
      'ROLLBACK',
      where,
      `its security counter ${securityCounter} is below ${trust.counters.security}, which was confirmed`,
    );
  }
  return accepted({ header: header.ok ? header.value : undefined, securityCounter });
}

async function signedHeader(
  parts: BootParts,
  bank: BankIndex,
  where: string,
): Promise<Verdict<ImageHeader>> {
  const { flash, identity, trust, hardwareId } = parts;
  const record = await trust.bankRecord(bank);
  if (record === undefined) {
    return refused('MISSING_METADATA', where, 'its image came without signed metadata');
  }
  const serial = identity.content.serial ?? '';
  const checked = trust.checkRecord(record, identity, serial);
  if (!checked.ok) return refused(checked.code, where, checked.reason);
  const header = checked.value;
  if (header.hardwareId !== hardwareId) {
    const reason = `its header is for hardware ${header.hardwareId}, this is ${hardwareId}`;
    return refused('WRONG_HARDWARE', where, reason);
  }
  const { sha256, length, version } = flash.record.banks[bank];
  if (header.sha256 !== sha256 || header.length !== length || header.version !== version) {
    return refused('IMAGE_MISMATCH', where, 'its header belongs to another image');
  }
  return checked;
}

/**
 * Raises the counter, so that no image older than the running one runs again. Undefined, without a change, when the
 * image is not confirmed or could not be started. `atMost`: a counter above it is not changed. Throws StorageError.
 */
export async function raiseCounter(
  parts: BootParts,
  atMost = Infinity,
): Promise<{ readonly counter: number } | undefined> {
  const { record } = parts.flash;
  const { content, proven } = record.banks[record.activeBank];
  if (record.trial !== null || record.rollbackPending || content !== 'valid' || !proven) {
    return undefined;
  }
  const verified = await verifyBank(parts, record.activeBank);
  if (!verified.ok) return undefined;
  const { securityCounter } = verified.value;
  if (securityCounter <= atMost) await parts.trust.raiseSecurityCounter(securityCounter);
  return { counter: parts.trust.counters.security };
}
