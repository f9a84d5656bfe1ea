// How a value lies in bytes: what signals, data and arguments of the vehicle file have in common.

import { z } from 'zod';

const id16 = z
  .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]{1,4}$/)])
  .transform((value) => Number(value))
  .pipe(z.number().int().min(0).max(0xffff));
export const didId = id16;
export const routineId = id16;

/** First byte in the data. */
export const offset = z.number().int().min(0).max(4000);

/** Raw value times `scale` plus `add` is the value. */
export const numberLayout = {
  /** Bytes, the most significant first. */
  length: z.number().int().min(1).max(4).default(1),
  /** Two's complement. */
  signed: z.boolean().default(false),
  scale: z
    .number()
    .refine((value) => value !== 0, 'expected a factor other than 0')
    .default(1),
  add: z.number().default(0),
};

/** For what is no quantity: what each raw value is called, `{ 0: off, 1: on }`. */
export const valueNames = z
  .record(
    z.string().regex(/^\d{1,10}$/, 'expected the raw value as a number'),
    z
      .string()
      .regex(/^[a-zA-Z][a-zA-Z0-9_]{0,23}$/, 'expected a word of at most 24 letters and digits'),
  )
  .refine((values) => Object.keys(values).length > 0, 'expected at least one value');
