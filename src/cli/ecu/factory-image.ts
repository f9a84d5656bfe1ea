// `can-ota ecu --image FILE@VERSION`: what the factory put into the memory of a simulated ECU.

import { hexNumber } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import { itemAt } from '../../core/present.ts';
import { loadFlashFile, splitAddress } from '../../image/image-file-formats.ts';
import type { MemoryImage } from '../../image/memory-image.ts';
import { regionsOf } from '../../vehicle/memory.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';

const OPTION = '--image';

export interface FactoryImageOption {
  readonly file: string;
  readonly version: string;
}

/**
 * The image in the memory that the vehicle file describes; raw data without an address begin at its first byte. Throws
 * InputError for a file that is missing, damaged or of another kind, and for bytes outside of the memory.
 */
export async function readFactoryImage(
  { file }: FactoryImageOption,
  { name, memory }: VehicleEcu,
): Promise<MemoryImage> {
  const regions = regionsOf(memory);
  const { address } = itemAt(regions, 0);
  const at = await splitAddress(file, OPTION);
  const { image } = await loadFlashFile(at, OPTION, { told: false, address });
  const outside = image.segments.find(({ address: begin, bytes: { length } }) =>
    regions.every(
      (region) => begin < region.address || begin + length > region.address + region.size,
    ),
  );
  if (outside === undefined) return image;
  const [from, to] = [outside.address, outside.address + outside.bytes.length - 1].map((place) =>
    hexNumber(place, 8),
  );
  const places = regions.map(
    (region) =>
      `${hexNumber(region.address, 8)} to ${hexNumber(region.address + region.size - 1, 8)}`,
  );
  throw new InputError(
    OPTION,
    `${file} has bytes at ${from} to ${to}, outside of the memory of ${name} (${places.join(', ')})`,
  );
}

/** The bytes of the image of an ECU that runs one range from the beginning of its bank on. Throws InputError. */
export async function readBankImage(
  option: FactoryImageOption,
  ecu: VehicleEcu,
): Promise<Uint8Array> {
  const { segments } = await readFactoryImage(option, ecu);
  const only = itemAt(segments, 0);
  if (segments.length === 1 && only.address === ecu.memory.address) {
    return Uint8Array.from(only.bytes);
  }
  throw new InputError(
    OPTION,
    `${option.file} has ${segments.length} segments from ${hexNumber(only.address, 8)} on, ${ecu.name} runs one from ` +
      `${hexNumber(ecu.memory.address, 8)} on (memory.address)`,
  );
}
