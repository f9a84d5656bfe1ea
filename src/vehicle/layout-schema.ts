// Layout of a value in bytes: the shared fields of signals, data and arguments of the vehicle file.

import { z } from 'zod';

const id16 = z
  .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]{1,4}$/)])
  .transform((value) => Number(value))
  .pipe(z.number().int().min(0).max(0xffff));
export const didId = id16;
export const routineId = id16;

/** First byte of the value in the data. */
export const offset = z.number().int().min(0).max(4000);

/** The value is the raw value times `scale` plus `add`. */
export const numberLayout = {
  /** Number of bytes, the most significant first. */
  length: z.number().int().min(1).max(4).default(1),
  /** The raw value is in two's complement. */
  signed: z.boolean().default(false),
  scale: z
    .number()
    .refine((value) => value !== 0, 'expected a factor other than 0')
    .default(1),
  add: z.number().default(0),
};

/** Names of raw values, for values that are not quantities: `{ 0: off, 1: on }`. */
export const valueNames = z
  .record(
    z.string().regex(/^\d{1,10}$/, 'expected the raw value as a number'),
    z
      .string()
      .regex(/^[a-zA-Z][a-zA-Z0-9_]{0,23}$/, 'expected a word of at most 24 letters and digits'),
  )
  .refine((values) => Object.keys(values).length > 0, 'expected at least one value');
