// The first image of an ECU: before the lock the factory sends length, digest and version, and no signature is needed.

import { decodeFirstImage, FIRST_IMAGE_FILE } from '../../../src/uds/first-image.ts';
import type { BootedEcu } from '../device.ts';
import type { AcceptedRelease } from '../programming/release.ts';

/** What `first-image.json` allows to be programmed, or why it is refused. */
export function firstRelease(device: BootedEcu, bytes: Uint8Array): AcceptedRelease | string {
  const { identity, ecu, hardwareId } = device;
  const first = decodeFirstImage(bytes);
  if (first === undefined) {
    return `${FIRST_IMAGE_FILE}: expected version, length and sha256 as JSON`;
  }
  const { bankSize } = ecu.memory;
  if (first.length > bankSize) {
    return `${FIRST_IMAGE_FILE}: ${first.length} bytes, a bank takes 1 to ${bankSize}`;
  }
  const header = {
    serial: identity.content.serial ?? '',
    hardwareId,
    name: first.version,
    securityCounter: 0,
    dependencies: {},
    ...first,
  };
  return { header, format: 'plain', record: undefined };
}
