// arithmetic: the seed as one number, changed step by step: add, rotate, xor. The family that most older ECUs are of.

import { z } from 'zod';
import { fromHex, toHex } from '../../core/bytes.ts';
import { securityAlgorithm } from './algorithm.ts';

const STEP =
  /^(add|sub|xor|and|or|mul) (0x[0-9a-fA-F]{1,16}|\d{1,18})$|^(rotl|rotr|shl|shr) (\d{1,2})$|^(not|swap)$/;

export const arithmetic = securityAlgorithm({
  name: 'arithmetic',
  fields: {
    steps: z
      .array(
        z
          .string()
          .regex(
            STEP,
            'expected add, sub, xor, and, or or mul with a number (add 0x1234), rotl, rotr, shl or shr with a count of bits (rotl 3), not, or swap',
          ),
      )
      .min(1)
      .max(64),
    seedBytes: z.number().int().min(1).max(8).default(4),
  },
  summary: 'steps over the seed as a number of seedBytes bytes, the most significant first',
  texts: {
    steps:
      'what is done with the number, in this order, such as ["xor 0x5A5A5A5A", "rotl 7", "add 0x1234"]; swap turns its bytes round.',
    seedBytes: 'bytes of the seed and of the key.',
  },
  decisive: 'security.steps',
  simulated: ({ seedBytes }) => ({ seedBytes, keyBytes: seedBytes }),
  keyFromSeed({ steps, seedBytes }, seed) {
    if (seed.length !== seedBytes) {
      return {
        reason: `its seed has ${seed.length} bytes, security.seedBytes says ${seedBytes}: correct the vehicle file`,
      };
    }
    const bits = BigInt(8 * seedBytes);
    const result = steps.reduce((value, step) => applied(step, value, bits), bytesToBigint(seed));
    return { key: bigintToBytes(result, seedBytes) };
  },
});

function bytesToBigint(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}

function bigintToBytes(value: bigint, length: number): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * length, '0'));
}

function applied(step: string, value: bigint, bits: bigint): bigint {
  const mask = (1n << bits) - 1n;
  const [name = '', operand = '0'] = step.split(' ');
  const number = BigInt(operand);
  const count = number % bits;
  switch (name) {
    case 'add':
      return (value + number) & mask;
    case 'sub':
      return BigInt.asUintN(Number(bits), value - number);
    case 'xor':
      return (value ^ number) & mask;
    case 'and':
      return value & number;
    case 'or':
      return (value | number) & mask;
    case 'mul':
      return (value * number) & mask;
    case 'rotl':
      return ((value << count) | (value >> (bits - count))) & mask;
    case 'rotr':
      return ((value >> count) | (value << (bits - count))) & mask;
    case 'shl':
      return (value << number) & mask;
    case 'shr':
      return value >> number;
    case 'not':
      return ~value & mask;
    case 'swap':
      return bytesToBigint(bigintToBytes(value, Number(bits / 8n)).reverse());
    default:
      throw new RangeError(`no step is called ${name}`);
  }
}
