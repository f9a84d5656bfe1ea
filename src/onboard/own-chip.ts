// The number of this machine's chip, and the check that an identity was made for it.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CanOtaError, InputError, systemErrorCode } from '../core/errors.ts';
import { fileFault } from '../core/text-file.ts';

/** File with the chip's number by default, below the state directory. */
export const CHIP_FILE = 'device-id';

/** The identity belongs to another chip: it was copied, or the chip was replaced. */
export class OtherChipError extends CanOtaError {
  readonly code = 'OTHER_CHIP';
}

/** The number in the form of the registry. Undefined if there is no such file. Throws InputError. */
export async function readChip(stateDir: string, file?: string): Promise<string | undefined> {
  const where = file ?? path.join(stateDir, CHIP_FILE);
  const text = await readFile(where, 'utf8').catch((error: unknown) => {
    if (file === undefined && systemErrorCode(error) === 'ENOENT') return undefined;
    throw new InputError('--device-file', fileFault(where, error), { cause: error });
  });
  const chip = text?.trim();
  if (chip === undefined || /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$/.test(chip)) return chip;
  throw new InputError(
    '--device-file',
    `${where}: expected a chip number of 1 to 64 letters, digits, . _ : + -`,
  );
}

/** `chip`: undefined if this machine does not know its number. Throws OtherChipError. */
export function requireOwnChip(
  identity: { readonly serial: string; readonly hwId: string },
  chip: string | undefined,
  how: string,
): void {
  if (chip === undefined || chip.toLowerCase() === identity.hwId.toLowerCase()) return;
  throw new OtherChipError(
    `${identity.serial} belongs to chip ${identity.hwId}, this is chip ${chip}: its state directory was copied, or the ` +
      `part was exchanged; nothing was sent. Give this device its own identity: ${how}`,
  );
}
