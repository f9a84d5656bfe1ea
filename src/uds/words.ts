// Parts of the line that describes a message: bytes, names, and bytes that could not be decoded.

import { asciiText, hexNumber } from '../core/bytes.ts';
import { hex2, isMalformed, type Malformed } from './codec.ts';
import type { MemoryRequest, MemoryResponse } from './memory-transfer.ts';
import { type Nrc, nrcName } from './nrc.ts';

/** How many bytes of data are shown at most. */
export const SHOWN_BYTES = 12;

/** The name of a code in a table of the standard, or its number where it has no name. */
export function nameIn(table: Readonly<Record<string, number>>, code: number): string {
  const found = Object.entries(table).find(([, value]) => value === code);
  return found?.[0] ?? `0x${hex2(code)}`;
}

/** Text for the decoded message, or why it could not be decoded. */
export function decodedText<Message extends object>(
  message: Message | Malformed | Nrc,
  words: (message: Message) => string,
): string {
  if (typeof message === 'number') return malformedText(nrcName(message) ?? 'format');
  return isMalformed(message) ? malformedText(message.malformed) : words(message as Message);
}

function malformedText(reason: string): string {
  return `(malformed: ${reason})`;
}

export function bytesText(bytes: Uint8Array, from: number): string {
  const rest = bytes.subarray(from);
  if (rest.length <= SHOWN_BYTES) return spaced(rest);
  return `${spaced(rest.subarray(0, SHOWN_BYTES))} ... ${rest.length} bytes`;
}

/** Data as text if all of it is printable, otherwise as hexadecimal bytes. */
export function valueText(bytes: Uint8Array): string {
  const printableBytes = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return bytes.length > 0 && printableBytes && bytes.length <= 64
    ? JSON.stringify(asciiText(bytes))
    : bytesText(bytes, 0);
}

/** Text from the bus without control characters, which could move the cursor of a terminal. */
export function printable(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  return short.replace(/[^\x20-\x7e]/g, '?');
}

export function spaced(bytes: Uint8Array): string {
  return Array.from(bytes, hex2).join(' ');
}

/** Text for requests of 23, 34 and 35. */
export function memoryText(
  request: (Pick<MemoryRequest, 'address' | 'size'> & Partial<MemoryRequest>) | Nrc,
): string {
  return decodedText(request, ({ address, size, dataFormat = 0 }) => {
    const plain = dataFormat === 0 ? '' : ` format 0x${hex2(dataFormat)}`;
    return `${hexNumber(address)} ${size} bytes${plain}`;
  });
}

/** Text for responses of 34 and 35. */
export function blockLengthText(response: MemoryResponse | Malformed): string {
  return decodedText(response, ({ maxBlockLength }) => `blocks of up to ${maxBlockLength} bytes`);
}
