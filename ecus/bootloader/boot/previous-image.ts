// The way back of an ECU with a single bank: the signed header of the image that was overwritten is kept.

import type { BootedEcu } from '../device.ts';
import type { AcceptedRelease } from '../programming/metadata.ts';
import { verifyBank } from './boot-check.ts';

/** Before the erase. What runs and may run is what a failed update goes back to; a torn bank is not. */
export async function keepPrevious(device: BootedEcu): Promise<void> {
  const { flash, trust } = device;
  const bank = flash.record.activeBank;
  if (flash.record.banks[bank].content !== 'valid') return;
  const running = await verifyBank(device, bank);
  if (!running.ok) return;
  const record = running.value.header === undefined ? undefined : await trust.bankRecord(bank);
  await trust.storePrevious(record);
}

/**
 * What may be programmed again without new metadata: exactly the image before this one, as long as this one was not
 * confirmed (then the security counter is above it). Undefined: there is none.
 */
export async function previousRelease(device: BootedEcu): Promise<AcceptedRelease | undefined> {
  const { identity, trust, hardwareId } = device;
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
  // It came once in the form that was signed for it; the tester may keep it in either.
  return { header: checked.value, format: 'either', record };
}
