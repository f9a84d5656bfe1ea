// The fields of data and commands in the vehicle file, before they are compared with each other.

import { z } from 'zod';
import { didId, numberLayout, offset, routineId, valueNames } from './layout-schema.ts';

export const name = z
  .string()
  .regex(
    /^[a-z][A-Za-z0-9]{0,31}$/,
    'expected a small letter, then letters and digits, at most 32',
  );
/** For people: nothing is calculated with it. */
const unit = z.string().regex(/^\S{1,16}$/, 'expected a unit of at most 16 characters, such as kW');

export const datumFields = z.strictObject({
  did: didId,
  offset: offset.default(0),
  ...numberLayout,
  unit: unit.optional(),
  values: valueNames.optional(),
  /** Raw value by which the ECU says that it has none. */
  notAvailable: z.number().int().optional(),
  /** The whole DID is text and no number. */
  text: z.literal(true).optional(),
});

/** Where an argument goes in the bytes of a command, and what it may be: a number, or one of some words. */
const argument = z.strictObject({
  /** Missing: right behind the argument before it. */
  offset: offset.optional(),
  ...numberLayout,
  unit: unit.optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  values: valueNames.optional(),
});

export const commandFields = z.strictObject({
  /** What it does, for operators. */
  title: z.string().min(1).max(120),
  /** Exactly one of `write`, `control` and `routine`. A DID that is written (2E). */
  write: didId.optional(),
  /** A DID whose output is taken over or given back (2F). */
  control: didId.optional(),
  option: z.enum(['adjust', 'return']).optional(),
  /** controlEnableMask behind the state, for a DID of several parameters. */
  mask: z
    .string()
    .regex(/^(?:[0-9a-fA-F]{2}){1,32}$/, 'expected the bytes of the mask as hexadecimal digits')
    .optional(),
  /** A routine that is started (31). */
  routine: routineId.optional(),
  /** In the order of their bytes. */
  arguments: z.record(name, argument).default({}),
  /** `default`: as the ECU is, neither another session nor SecurityAccess. */
  session: z.enum(['default', 'extended']).default('extended'),
  /** `ecu`: SecurityAccess as the ECU has it. */
  security: z.enum(['ecu', 'none']).default('ecu'),
  /** How a lost answer is settled. Write and control: the DID can be read, and tells (true unless told otherwise). */
  readBack: z.boolean().optional(),
  /** Routine: where its results (31 03) have a counter of its runs; without one nothing tells. */
  counter: z
    .strictObject({ offset: offset.default(0), length: z.number().int().min(1).max(4).default(1) })
    .optional(),
  /** Routine whose start is answered before it is done: as long as this byte of its results has this value, it runs. */
  running: z
    .strictObject({ offset: offset.default(0), value: z.number().int().min(0).max(255) })
    .optional(),
});

export type DatumFields = z.output<typeof datumFields>;
export type ArgumentFields = z.output<typeof argument>;
export type CommandFields = z.output<typeof commandFields>;
