// `can-ota provision --image ECU=FILE[@VERSION]`: opens the first images and compares them with the vehicle file.

import { stat } from 'node:fs/promises';
import { InputError } from '../core/errors.ts';
import { isVersionText } from '../core/names.ts';
import type { FirstImage } from '../drivers/first-image.ts';
import { layOut } from '../drivers/layout.ts';
import { openFlashFile, splitAddress } from '../image/image-file-formats.ts';
import { FIRST_LINE_BYTES, versionFromDigest, versionInImage } from '../uds/first-image.ts';
import { findEcu } from '../vehicle/load.ts';
import { memoryRoom } from '../vehicle/memory.ts';
import type { Vehicle } from '../vehicle/schema.ts';

/** The option: `EDT=edt.bin` or `EDT=edt.bin@2.1.0`. */
export interface ImageOption {
  readonly ecu: string;
  readonly place: string;
}

export interface FirstImages extends AsyncDisposable {
  readonly byEcu: ReadonlyMap<string, FirstImage>;
  /** Notes for the person, one sentence each. */
  readonly notes: readonly string[];
}

const OPTION = '--image';
const ADDRESS = /^0x[0-9a-f]+$/i;

/** Opens every image before the provisioning begins. `names`: the ECUs to provision. Throws InputError. */
export async function openFirstImages(
  given: readonly ImageOption[],
  vehicle: Vehicle,
  names: readonly string[],
): Promise<FirstImages> {
  const byEcu = new Map<string, FirstImage>();
  const notes: string[] = [];
  await using opened = new AsyncDisposableStack();
  for (const { ecu: name, place } of given) {
    const ecu = findEcu(vehicle, name);
    if (!names.includes(name)) {
      throw new InputError(OPTION, `${name} is not provisioned by this command: name it, too`);
    }
    if (byEcu.has(name)) throw new InputError(OPTION, `two images for ${name}: give one`);
    const { file, version } = await splitPlace(place);
    const at = await splitAddress(file, OPTION);
    const image = opened.use(await openFlashFile(at, OPTION, { told: false }));
    const room = memoryRoom(ecu.memory);
    const dataAt = image.map?.dataOffset ?? 0;
    const bytes = image.length - dataAt;
    if (bytes > room) {
      throw new InputError(OPTION, `${file} has ${bytes} bytes, a bank of ${name} holds ${room}`);
    }
    const laidOut = layOut(ecu, image, undefined);
    if (!laidOut.ok) throw new InputError(OPTION, `${file}: ${laidOut.reason}`);
    const named = version ?? versionInImage(await image.read(dataAt, FIRST_LINE_BYTES));
    if (named === undefined) {
      const text = `${file} has no version: ${name} will report ${versionFromDigest(image.sha256)} (set one by ECU=FILE@VERSION)`;
      notes.push(text);
    }
    byEcu.set(name, { image, version: named ?? versionFromDigest(image.sha256) });
  }
  const kept = opened.move();
  return { byEcu, notes, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Splits `FILE@VERSION`. When a file of the whole name exists, the @ belongs to the name; `@0x08000000` is an address and
 * belongs to the file.
 */
async function splitPlace(
  place: string,
): Promise<{ readonly file: string; readonly version?: string }> {
  const match = /^(.+)@([^@/]+)$/.exec(place);
  const isFile = await stat(place).then(
    (found) => found.isFile(),
    () => false,
  );
  if (match === null || isFile || ADDRESS.test(match[2] ?? '')) return { file: place };
  const [, file = '', version = ''] = match;
  if (isVersionText(version)) return { file, version };
  throw new InputError(
    OPTION,
    `version ${JSON.stringify(version)}: expected 1 to 32 characters 0-9 A-Z a-z . + _ -, like 2.1.0`,
  );
}
