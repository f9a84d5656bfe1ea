// The factory image of an ECU: small, always the same for one name, with its version inside.

import { sha256 } from '@noble/hashes/sha2.js';
import { asciiBytes, concatBytes, uintToBytes } from '../../../src/core/bytes.ts';

const FACTORY_VERSION = '1.0.0';
const FACTORY_IMAGE_BYTES = 4096;

export interface FactoryImage {
  readonly image: Uint8Array;
  readonly version: string;
}

/** An image of 4 KiB: a text line with ECU and version, then bytes that compress like code. */
export function builtInFactoryImage(ecuName: string): FactoryImage {
  const head = asciiBytes(`can-ota factory image ${ecuName} ${FACTORY_VERSION}\n`);
  const parts = [head];
  for (let index = 0, length = head.length; length < FACTORY_IMAGE_BYTES; index++, length += 32) {
    parts.push(sha256(concatBytes(head, uintToBytes(index, 4))));
  }
  return { image: concatBytes(...parts).slice(0, FACTORY_IMAGE_BYTES), version: FACTORY_VERSION };
}
