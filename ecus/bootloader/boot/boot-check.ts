// Secure boot: a bank starts only with a signed header that fits its bytes, this ECU, this chip and the counter.

import { toHex } from '../../../src/core/bytes.ts';
import { accepted, refused, type Verdict } from '../../../src/trust/attack.ts';
import type { ImageHeader } from '../../../src/trust/image-header.ts';
import type { EcuMemory } from '../flash/memory.ts';
import { type BankIndex, bankLetter } from './boot-record.ts';

export type BootParts = Omit<EcuMemory, 'nv'>;

/** What is in a bank, as far as it was signed. */
export interface VerifiedBank {
  /** Undefined for the factory image. */
  readonly header: ImageHeader | undefined;
  readonly securityCounter: number;
}

/**
 * Why this chip, or the hardware around it, is not the one that was provisioned; undefined when it is, or when
 * nothing has been bound yet. A copy of a flash does not run on another chip.
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
 * The checks that follow on the right hash of the bank (`FlashMemory.intact`): signatures again, under any Root
 * that this ECU has accepted, and the header against ECU, bytes and counter. Expiry does not count here: what was
 * verified once may run until something newer is confirmed.
 */
export async function verifyBank(
  parts: BootParts,
  bank: BankIndex,
): Promise<Verdict<VerifiedBank>> {
  const { flash, identity, trust } = parts;
  // A virgin ECU holds what the factory put there, and nothing can be programmed into it.
  if (!identity.locked) return accepted({ header: undefined, securityCounter: 0 });
  const where = `bank ${bankLetter(bank)}`;
  const stored = flash.record.banks[bank];
  const header = await signedHeader(parts, bank, where);
  // The factory image came with the ECU and was bound by the lock: it needs no metadata, and its counter is 0.
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
 * No image older than the running one shall ever run again. Undefined: it is not confirmed, or it could not be
 * started; then nothing is changed. `atMost`: a counter above this one is left alone. Throws StorageError.
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
