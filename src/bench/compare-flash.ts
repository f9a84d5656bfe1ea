// The check behind a bench: the flash of each ECU on the disk against what was released and what the ECU has told.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ForeignFlash } from '../../ecus/foreign/flash.ts';
import { isOfAnotherMake } from '../../ecus/foreign/foreign-ecu.ts';
import { equalBytes, hexNumber } from '../core/bytes.ts';
import { DiskStorage } from '../core/storage.ts';
import { layOut } from '../drivers/layout.ts';
import { openFlashFile, splitAddress } from '../image/image-file-formats.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';

/** What one ECU was given, and where the files of its flash are. */
export interface FlashToCompare {
  readonly ecu: VehicleEcu;
  /** The released file, as it was named. */
  readonly file: string;
  /** As the ECU computed it; null: it cannot. */
  readonly sha256: string | null;
  readonly folder: string;
}

/** What differs, as one sentence; undefined: nothing. */
export async function flashFault(given: FlashToCompare): Promise<string | undefined> {
  const at = await splitAddress(given.file, '--image');
  await using released = await openFlashFile(at, '--image', { told: false });
  const { ecu, sha256, folder } = given;
  const { name } = ecu;
  if (sha256 !== null && sha256 !== released.sha256) {
    return `${name} reports SHA-256 ${sha256}, released was ${released.sha256}`;
  }
  if (!isOfAnotherMake(ecu) && ecu.programming.protocol === 'uds') {
    const banks = await Promise.all(
      ['bank-a.bin', 'bank-b.bin'].map((bank) => fileDigest(path.join(folder, bank))),
    );
    return sha256 !== null && banks.includes(released.sha256)
      ? undefined
      : `no flash file of ${name} has the released SHA-256 ${released.sha256}`;
  }
  const laidOut = layOut(ecu, released, undefined);
  if (!laidOut.ok) return laidOut.reason;
  const flash = await ForeignFlash.open(ecu.memory, await DiskStorage.open(folder));
  for (const { address, size, source } of laidOut.value.ranges) {
    if (!equalBytes(flash.read(address, size), await source.read(0, size))) {
      return `the flash of ${name} does not hold what was released from ${hexNumber(address, 8)} on`;
    }
  }
  return undefined;
}

async function fileDigest(file: string): Promise<string | undefined> {
  try {
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  } catch {
    return undefined;
  }
}
