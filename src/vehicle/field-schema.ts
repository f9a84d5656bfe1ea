// Numbers and secrets in the form of the vehicle file.

import { z } from 'zod';

export const byte = z
  .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]{1,2}$/)])
  .transform((value) => Number(value))
  .pipe(z.number().int().min(0).max(0xff));

/** Address in the memory of an ECU. */
export const address32 = z
  .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]+$/)])
  .transform(Number)
  .pipe(z.number().int().min(0).max(0xffff_ffff));

export const hexSecret = z
  .string('expected 16 to 64 bytes as hexadecimal digits, in quotes when they look like a number')
  .regex(/^(?:[0-9a-fA-F]{2}){16,64}$/, 'expected 16 to 64 bytes as hexadecimal digits');
