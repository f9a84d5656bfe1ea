// The images that a bench releases: those of the command line, or the standard ones.

import path from 'node:path';
import { InputError } from '../core/errors.ts';
import { packageRoot } from '../core/package-root.ts';
import { layOut } from '../drivers/layout.ts';
import { openFlashFile, splitAddress } from '../image/image-file-formats.ts';
import { findEcu } from '../vehicle/load.ts';
import { memoryRoom } from '../vehicle/memory.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { ReleaseImage } from './factory.ts';

/** Real firmware images, part of the package. */
export const firmware = path.join(packageRoot, 'test', 'fixtures', 'firmware');

/** The images of the factory and of the release: real images of the demo ECU, an older and a newer one. */
export const STANDARD: Readonly<
  Record<string, { readonly factory: string; readonly release: string }>
> = {
  EDT: { factory: 'ecu-feature/old.bin', release: 'ecu-feature/new.bin' },
  INV: { factory: 'ecu-bugfix/old.bin', release: 'ecu-bugfix/new.bin' },
};

/** `--image` replaces the standard releases. Throws InputError before any process is started. */
export async function chooseImages(
  given: readonly ReleaseImage[],
  vehicle: Vehicle,
): Promise<ReleaseImage[]> {
  const images =
    given.length > 0
      ? given
      : Object.entries(STANDARD)
          .filter(([ecu]) => vehicle.ecus.some(({ name }) => name === ecu))
          .map(([ecu, { release }]) => ({
            ecu,
            file: path.join(firmware, release),
            version: '2.0.0',
          }));
  const seen = new Set<string>();
  for (const { ecu, file } of images) {
    const described = findEcu(vehicle, ecu);
    if (seen.has(ecu)) throw new InputError('--image', `two images for ${ecu}: give one`);
    seen.add(ecu);
    const at = await splitAddress(file, '--image');
    await using image = await openFlashFile(at, '--image', { told: false });
    const room = memoryRoom(described.memory);
    const bytes = image.length - (image.map?.dataOffset ?? 0);
    if (bytes > room) {
      throw new InputError('--image', `${file} has ${bytes} bytes, a bank of ${ecu} holds ${room}`);
    }
    const laidOut = layOut(described, image, undefined);
    if (!laidOut.ok) throw new InputError('--image', `${file}: ${laidOut.reason}`);
  }
  return [...images];
}

/** `--encrypt` names ECUs that get an image. Throws InputError. */
export function checkEncrypted(names: readonly string[], images: readonly ReleaseImage[]): void {
  const stray = names.find((name) => !images.some(({ ecu }) => ecu === name));
  if (stray === undefined) return;
  const released = images.map(({ ecu }) => ecu).join(', ');
  throw new InputError('--encrypt', `${stray} gets no image here: expected one of ${released}`);
}
