// A plain ECU (`metadata: skip`): it verifies no metadata, and a tester needs only SecurityAccess to program it.

import {
  FIRST_LINE_BYTES,
  versionFromDigest,
  versionInImage,
} from '../../../src/uds/first-image.ts';
import type { VehicleEcu } from '../../../src/vehicle/schema.ts';
import type { BankIndex } from '../boot/boot-record.ts';
import type { BootedEcu } from '../device.ts';
import type { AcceptedRelease } from './release.ts';

export function isPlain(ecu: VehicleEcu): boolean {
  return ecu.programming.metadata === 'skip';
}

/** The release of a plain ECU: any image that fits, without a signature. */
export function plainRelease({ ecu, hardwareId, nv }: BootedEcu, length: number): AcceptedRelease {
  const header = {
    serial: nv.content.serial,
    hardwareId,
    name: ecu.name,
    version: '',
    length,
    sha256: '',
    securityCounter: 0,
    dependencies: {},
  };
  return { header, format: 'plain', record: undefined };
}

/** The version at the end of the image's first line of text; otherwise the beginning of its digest. */
export async function plainVersion(
  { flash }: Pick<BootedEcu, 'flash'>,
  bank: BankIndex,
  sha256: string,
): Promise<string> {
  const head = await flash.read(bank, 0, FIRST_LINE_BYTES);
  return versionInImage(head) ?? versionFromDigest(sha256);
}
