// `can-ota image`: what is in a flash file, and the same in another format.

import { type Command, InvalidArgumentError } from 'commander';
import { command, withOutput } from '../program-options.ts';

const FILE = 'Intel HEX, S-records, ELF, VBF, or raw data as FILE@0x08000000; - for standard input';

export function addImage(program: Command): void {
  const image = command(
    program,
    'image',
    'Flash files: Intel HEX, S-records, ELF, VBF and raw data, recognised by their content.',
    `can-ota image inspect firmware.hex
       can-ota image convert firmware.elf --out firmware.s19`,
  );
  withOutput(
    command(
      image,
      'inspect',
      'Show format, segments, start address and the digest that a release of the file has.',
      `can-ota image inspect firmware.hex
       can-ota image inspect strategy.vbf --json
       can-ota image inspect firmware.bin@0x08000000
       can-ota image inspect - --raw --json`,
    ).argument('<file>', FILE),
  )
    .option('--raw', 'take a file without a format as raw data, at address 0')
    .action(async (file, options) => (await import('./image.ts')).inspect(file, options));
  withOutput(
    command(
      image,
      'convert',
      'Write a flash file as Intel HEX, S-records or raw data, without gaps or with them filled.',
      `can-ota image convert firmware.elf --out firmware.hex
       can-ota image convert firmware.hex --out firmware.s19
       can-ota image convert firmware.hex --out firmware.bin --fill 0xFF
       can-ota image convert firmware.bin@0x08000000 --out firmware.hex`,
    ).argument('<file>', FILE),
  )
    .requiredOption('--out <file>', 'new file; its ending says the format: .hex, .s19 or .bin')
    .option(
      '--fill <byte>',
      'fill the gaps between segments with this byte, such as 0xFF',
      byteValue,
    )
    .option('--raw', 'take a file without a format as raw data, at address 0')
    .action(async (file, options) => (await import('./image.ts')).convert(file, options));
}

function byteValue(text: string): number {
  const value = /^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xff)) throw new InvalidArgumentError('expected a byte, 0x00 to 0xFF');
  return value;
}
