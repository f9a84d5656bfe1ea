// A single bank: a download overwrites the running image; the signed header of the previous one is kept for a rollback.

import type { BankDriver } from './bank-driver.ts';
import { raiseCounter, verifyBank } from './boot-check.ts';

export const singleBank: BankDriver = {
  canSwitch: false,
  target: ({ activeBank }) => activeBank,
  inactive: () => undefined,
  targetIsNeeded: () => false,
  targetRefusal: async () => undefined,

  /**
   * Exactly the previous image, while the running one is not confirmed (then the security counter is above it).
   */
  async previousRelease({ identity, trust, hardwareId }) {
    const { serial, factoryImage } = identity.content;
    if (serial === null) return undefined;
    const record = await trust.previousRecord();
    if (record === undefined) {
      if (factoryImage === null || trust.counters.security > 0) return undefined;
      const { sha256, version, length } = factoryImage;
      const header = {
        serial,
        hardwareId,
        name: version,
        version,
        length,
        sha256,
        securityCounter: 0,
        dependencies: {},
      };
      return { header, format: 'plain', record: undefined };
    }
    const checked = trust.checkRecord(record, identity, serial);
    if (!checked.ok || checked.value.hardwareId !== hardwareId) return undefined;
    if (checked.value.securityCounter < trust.counters.security) return undefined;
    // The image was sent in its signed form; the tester may have kept either form.
    return { header: checked.value, format: 'either', record };
  },

  /** A failed update restores the running image, so it must be whole and allowed to run. */
  async keepRunning(parts) {
    const { flash, trust } = parts;
    const bank = flash.record.activeBank;
    if (flash.record.banks[bank].content !== 'valid') return;
    const running = await verifyBank(parts, bank);
    if (!running.ok) return;
    const record = running.value.header === undefined ? undefined : await trust.bankRecord(bank);
    await trust.storePrevious(record);
  },

  /**
   * The running image is confirmed by 0211, or at the latest when metadata of another image is accepted, because that
   * means that the tester accepts the running one. An older next image does not confirm it: it must still be able to
   * boot.
   */
  async releaseAccepted(parts, next) {
    const { record } = parts.flash;
    const { sha256 } = record.banks[record.activeBank];
    if (next.sha256 !== sha256) await raiseCounter(parts, next.securityCounter);
  },
};
