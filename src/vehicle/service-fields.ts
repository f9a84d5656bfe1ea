// The fields of data and commands in the vehicle file, before the checks that compare them.

import { z } from 'zod';
import { didId, numberLayout, offset, routineId, valueNames } from './layout-schema.ts';

export const name = z
  .string()
  .regex(
    /^[a-z][A-Za-z0-9]{0,31}$/,
    'expected a small letter, then letters and digits, at most 32',
  );
/** Unit for people: nothing is calculated with it. */
const unit = z.string().regex(/^\S{1,16}$/, 'expected a unit of at most 16 characters, such as kW');

export const datumFields = z.strictObject({
  did: didId,
  offset: offset.default(0),
  ...numberLayout,
  unit: unit.optional(),
  values: valueNames.optional(),
  /** Raw value that means "no value". */
  notAvailable: z.number().int().optional(),
  /** The whole DID is a text, not a number. */
  text: z.literal(true).optional(),
});

/** Position and range of an argument in the bytes of a command: a number, or one of some words. */
const argument = z.strictObject({
  /** Missing: directly after the argument before it. */
  offset: offset.optional(),
  ...numberLayout,
  unit: unit.optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  values: valueNames.optional(),
});

export const commandFields = z.strictObject({
  /** What the command does, for operators. */
  title: z.string().min(1).max(120),
  /** DID that is written (2E). A command has exactly one of `write`, `control` and `routine`. */
  write: didId.optional(),
  /** DID whose output is controlled or given back (2F). */
  control: didId.optional(),
  option: z.enum(['adjust', 'return']).optional(),
  /** controlEnableMask after the state, for a DID with several parameters. */
  mask: z
    .string()
    .regex(/^(?:[0-9a-fA-F]{2}){1,32}$/, 'expected the bytes of the mask as hexadecimal digits')
    .optional(),
  /** Routine that is started (31). */
  routine: routineId.optional(),
  /** Arguments in the order of their bytes. */
  arguments: z.record(name, argument).default({}),
  /** `default`: neither another session nor SecurityAccess. */
  session: z.enum(['default', 'extended']).default('extended'),
  /** `ecu`: SecurityAccess as in the description of the ECU. */
  security: z.enum(['ecu', 'none']).default('ecu'),
  /** Write and control: the DID can be read back to settle a lost answer (true by default). */
  readBack: z.boolean().optional(),
  /** Routine: position of a run counter in its results (31 03), which settles a lost answer. */
  counter: z
    .strictObject({ offset: offset.default(0), length: z.number().int().min(1).max(4).default(1) })
    .optional(),
  /** Routine that is answered before it has ended: it runs as long as this byte of its results has this value. */
  running: z
    .strictObject({ offset: offset.default(0), value: z.number().int().min(0).max(255) })
    .optional(),
});

export type DatumFields = z.output<typeof datumFields>;
export type ArgumentFields = z.output<typeof argument>;
export type CommandFields = z.output<typeof commandFields>;
