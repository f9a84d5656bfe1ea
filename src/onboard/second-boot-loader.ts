// Loads a second boot loader from its file: Intel HEX, S-record, ELF or VBF.

import { InputError } from '../core/errors.ts';
import type { LoadProgram } from '../image/called-program.ts';
import { loadFlashFile } from '../image/image-file-formats.ts';
import { memorySource } from '../image/memory-source.ts';

export const loadProgram: LoadProgram = async (file, call) => {
  const { image, start } = await loadFlashFile({ file }, 'secondBootLoader.file', undefined);
  const begins = call ?? start;
  if (begins === null) {
    throw new InputError(
      file,
      'tells no start address: set secondBootLoader.call in the vehicle file',
    );
  }
  return { image: memorySource(image), call: begins };
};
