// Two banks: an image is written beside the running one, runs on trial, and is confirmed or rolled back.

import type { BankDriver } from './bank-driver.ts';
import { verifyBank } from './boot-check.ts';
import { otherBank } from './boot-record.ts';

export const twoBanks: BankDriver = {
  canSwitch: true,
  target: ({ activeBank }) => otherBank(activeBank),
  inactive: ({ activeBank }) => otherBank(activeBank),
  targetIsNeeded: ({ trial, rollbackPending }) => trial !== null || rollbackPending,
  async targetRefusal(parts) {
    const { record } = parts.flash;
    const bank = otherBank(record.activeBank);
    if (record.banks[bank].content !== 'valid') return undefined;
    const verified = await verifyBank(parts, bank);
    return verified.ok ? undefined : verified;
  },
  // The previous image is in the other bank: a rollback needs no download.
  previousRelease: async () => undefined,
  keepRunning: async () => {},
  releaseAccepted: async () => {},
};
