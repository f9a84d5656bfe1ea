// The images that a bench releases: those of the command line, or the standard ones.

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../core/errors.ts';
import { packageRoot } from '../core/package-root.ts';
import { fileFault } from '../core/text-file.ts';
import { findEcu } from '../vehicle/load.ts';
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
    const { bankSize } = findEcu(vehicle, ecu).memory;
    if (seen.has(ecu)) throw new InputError('--image', `two images for ${ecu}: give one`);
    seen.add(ecu);
    const found = await stat(file).catch((error: unknown) => {
      throw new InputError('--image', fileFault(file, error), { cause: error });
    });
    if (!found.isFile()) throw new InputError('--image', `${file} is a folder, a file is expected`);
    if (found.size === 0)
      throw new InputError('--image', `${file} is empty: an image has at least one byte`);
    if (found.size > bankSize) {
      throw new InputError(
        '--image',
        `${file} has ${found.size} bytes, a bank of ${ecu} holds ${bankSize}`,
      );
    }
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
