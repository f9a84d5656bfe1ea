// How an ECU of another make behaves for its whole life: drawn once for an episode, from a random stream of its own.

import { byteAt } from '../../core/bytes.ts';
import type { Random } from '../../core/random.ts';
import { ecuSchema, type VehicleEcu } from '../../vehicle/schema.ts';
import { OTHER_MAKE } from '../machine-names.ts';

/** Services and routines that such ECUs may lack: the vehicle file says `try` for each. */
export const OPTIONAL = [
  'dtcSetting',
  'communication',
  'preconditions',
  'fingerprint',
  'erase',
  'checkMemory',
  'dependencies',
  'troubleCodes',
  'activeSession',
] as const;
export type Optional = (typeof OPTIONAL)[number];

export interface Character {
  readonly security: 'none' | 'xor';
  readonly knows: readonly Optional[];
  /** Time from a request to its answer. */
  readonly answerMs: number;
  /** Time from a reset until the ECU receives requests. */
  readonly bootMs: number;
  readonly eraseMs: number;
  /** maxNumberOfBlockLength. */
  readonly blockLength: number;
}

const XOR_CONSTANT = 'a55a3cc3';
export const FLASH_ADDRESS = 0x8000;

export function drawCharacter(random: Random): Character {
  const between = (least: number, most: number): number =>
    least + Math.floor(random.fraction() * (most - least + 1));
  return {
    security: random.fraction() < 0.5 ? 'none' : 'xor',
    knows: OPTIONAL.filter(() => random.fraction() < 0.6),
    answerMs: between(1, 45),
    bootMs: between(100, 2500),
    eraseMs: between(50, 6000),
    blockLength: between(66, 1026),
  };
}

/** Description of the ECU in the vehicle file. */
export function descriptionOf({ security }: Character): VehicleEcu {
  return ecuSchema.parse({
    name: OTHER_MAKE,
    description: 'on-board charger of another make',
    hardwareId: 'OBC-9',
    address: { mode: 'normal', request: 0x7e6, response: 0x7ee, functional: 0x7df },
    security:
      security === 'none'
        ? { algorithm: 'none' }
        : { algorithm: 'xor', level: 0x01, constant: XOR_CONSTANT },
    memory: { address: FLASH_ADDRESS, bankSize: 1024 * 1024, banks: 1 },
    programming: 'standard',
    order: 25,
    unavailable: 'charging',
  });
}

/** The key for a seed. */
export function xorKey(seed: Uint8Array): Uint8Array {
  const constant = Buffer.from(XOR_CONSTANT, 'hex');
  return seed.map((byte, at) => byte ^ byteAt(constant, at % constant.length));
}
