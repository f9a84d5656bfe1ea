// Checks whether an ECU can program now, and records refused images.

import type { AttackCode } from '../../../src/trust/attack.ts';
import { bindingFault } from '../boot/boot-check.ts';
import type { BootedEcu } from '../device.ts';
import { HOW_TO_PROVISION } from '../factory/provisioning.ts';
import { isPlain } from './plain.ts';
import type { AcceptedRelease } from './release.ts';

/** Whether metadata can be verified; an event says why not. */
export function canVerify(device: BootedEcu): boolean {
  const { identity, trust, ecu } = device;
  if (isPlain(ecu)) return true;
  const reason = !identity.locked
    ? HOW_TO_PROVISION
    : (bindingFault(device) ??
      trust.fault ??
      (trust.trust === undefined ? 'there is no Root to trust' : undefined));
  if (reason !== undefined) device.emit({ kind: 'not-ready', reason });
  return reason === undefined;
}

/**
 * Checks the record of the new image before the erase, because a record that no boot accepts must not cost the old
 * image.
 */
export async function acceptsRecord(device: BootedEcu, release: AcceptedRelease): Promise<boolean> {
  const { record, header } = release;
  if (record === undefined) return true;
  const { identity, trust } = device;
  const checked = trust.checkRecord(record, identity, header.serial);
  if (!checked.ok) await noteRefusedImage(device, checked.code, checked.reason);
  return checked.ok;
}

export async function noteRefusedImage(
  device: BootedEcu,
  code: AttackCode,
  reason: string,
): Promise<void> {
  device.logger.warn({ code, reason }, 'image refused');
  device.emit({ kind: 'image-refused', code, reason });
  await device.trust.noteAttack(code);
}
