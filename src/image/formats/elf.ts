// ELF files ("Tool Interface Standard: Executable and Linking Format", 1.2; ELF-64 Object File Format, 1.5).

import { hexNumber } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import { buildImage } from '../image-builder.ts';
import type { LoadedImage } from '../loaded-image.ts';
import { ADDRESS_END } from '../memory-image.ts';

const PT_LOAD = 1;
/** e_phnum: the number of program headers stands elsewhere, because it does not fit. */
const PN_XNUM = 0xffff;

/** e_type */
const TYPES: Readonly<Record<number, string>> = {
  1: 'an object file that is not linked',
  4: 'a core dump',
};

/** e_machine of what is built into vehicles, and of what is built by mistake. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'x86',
  4: 'Motorola 68000',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC 64',
  36: 'V800',
  40: 'Arm',
  42: 'SuperH',
  44: 'TriCore',
  53: 'M68HC12',
  62: 'x86-64',
  70: 'M68HC11',
  83: 'AVR',
  87: 'V850',
  94: 'Xtensa',
  105: 'MSP430',
  165: '8051',
  173: 'RX',
  183: 'AArch64',
  197: 'RL78',
  243: 'RISC-V',
};

interface Layout {
  readonly phoffAt: number;
  readonly phentsizeAt: number;
  readonly headerBytes: number;
  /** Offsets within a program header. */
  readonly offsetAt: number;
  readonly paddrAt: number;
  readonly fileszAt: number;
  readonly entryBytes: number;
}

const ELF32: Layout = {
  phoffAt: 28,
  phentsizeAt: 42,
  headerBytes: 52,
  offsetAt: 4,
  paddrAt: 12,
  fileszAt: 16,
  entryBytes: 32,
};
const ELF64: Layout = {
  phoffAt: 32,
  phentsizeAt: 54,
  headerBytes: 64,
  offsetAt: 8,
  paddrAt: 24,
  fileszAt: 32,
  entryBytes: 56,
};

/**
 * Loadable segments (PT_LOAD) at their physical addresses, as far as the file holds them (p_filesz): what is to be
 * zeroed, debug information and symbols are no part of the image. Throws InputError.
 */
export function readElf(bytes: Uint8Array, name: string): LoadedImage {
  const fault = (message: string): InputError => new InputError(name, `ELF: ${message}`);
  const [, , , , wordClass, encoding] = bytes;
  if (bytes.length < ELF32.headerBytes) throw fault('it is cut off within its header');
  if (wordClass !== 1 && wordClass !== 2) throw fault(`class ${wordClass}: expected 1 or 2`);
  if (encoding !== 1 && encoding !== 2) throw fault(`byte order ${encoding}: expected 1 or 2`);
  const is64 = wordClass === 2;
  const layout = is64 ? ELF64 : ELF32;
  if (bytes.length < layout.headerBytes) throw fault('it is cut off within its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = encoding === 1;
  const half = (at: number): number => view.getUint16(at, little);
  // Not exact above 2^53, where it is refused all the same.
  const word = (at: number): number =>
    is64 ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);

  const unfit = TYPES[half(16)];
  if (unfit !== undefined) {
    throw fault(`it is ${unfit}: an executable is expected, as the linker writes it`);
  }
  const entry = word(24);
  const phoff = word(layout.phoffAt);
  const phentsize = half(layout.phentsizeAt);
  const phnum = half(layout.phentsizeAt + 2);
  if (phnum === 0) throw fault('it has no program headers, so that nothing in it is to be loaded');
  if (phnum === PN_XNUM) throw fault('it has more than 65,534 program headers');
  if (phentsize < layout.entryBytes) {
    throw fault(`its program headers have ${phentsize} bytes, ${layout.entryBytes} are expected`);
  }
  if (phoff + phnum * phentsize > bytes.length) {
    throw fault(
      `it is cut off: its program headers end at byte ${phoff + phnum * phentsize}, the file has ${bytes.length}`,
    );
  }
  const pieces: {
    readonly address: number;
    readonly offset: number;
    readonly length: number;
    readonly index: number;
  }[] = [];
  let total = 0;
  for (let index = 0; index < phnum; index++) {
    const at = phoff + index * phentsize;
    if (view.getUint32(at, little) !== PT_LOAD) continue;
    const offset = word(at + layout.offsetAt);
    const address = word(at + layout.paddrAt);
    const length = word(at + layout.fileszAt);
    if (length === 0) continue;
    if (offset + length > bytes.length) {
      throw fault(
        `it is cut off: the segment of program header ${index} ends at byte ${offset + length}, the file has ${bytes.length}`,
      );
    }
    if (address + length > ADDRESS_END) {
      throw fault(
        `the segment of program header ${index} at ${hexNumber(address, 8)} lies outside the 32-bit addresses of an ECU`,
      );
    }
    total += length;
    // Segments that share bytes of the file could be put together to any size.
    if (total > bytes.length) {
      throw fault(
        `its segments have ${total} bytes together, more than the file (${bytes.length})`,
      );
    }
    pieces.push({ address, offset, length, index });
  }
  if (pieces.length === 0)
    throw fault('none of its program headers has bytes to be loaded (PT_LOAD)');
  const machine = half(18);
  return {
    format: 'elf',
    image: buildImage(
      name,
      (index) => `program header ${index}`,
      (sink) => {
        for (const { address, offset, length, index } of pieces)
          sink.add(address, bytes, offset, length, index);
      },
    ),
    // ELF: an entry of zero means that there is none.
    start: entry === 0 || entry >= ADDRESS_END ? null : entry,
    facts: [
      {
        name: 'machine',
        value: `${MACHINES[machine] ?? `e_machine ${machine}`}, ${is64 ? 64 : 32} bit, ${little ? 'little' : 'big'} endian`,
      },
      { name: 'loaded', value: `${pieces.length} of ${phnum} program headers` },
    ],
  };
}
