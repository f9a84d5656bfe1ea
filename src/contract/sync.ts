// One contact of a vehicle with its backend: reports out, configuration and commands in. POST /vehicle/sync, sealed.

import { z } from 'zod';
import { sha256Hex } from '../core/names.ts';
import { catalogue, commandOrder, commandReport } from './command.ts';
import { parameterResult, wantedParameters } from './configuration.ts';

/** Most orders and reports in one contact; the rest follows in the next one. */
export const MAX_COMMANDS = 16;

export const configurationReport = z.object({
  version: z.number().int().min(1),
  /** Time by the vehicle's clock, ISO 8601. */
  at: z.iso.datetime({ offset: true }),
  results: z.array(parameterResult).max(64),
  /** All parameters in force. */
  inForce: z.record(z.string(), z.json()),
});
export type ConfigurationReport = Readonly<z.output<typeof configurationReport>>;

export const syncRequest = z.object({
  vin: z.string().max(32),
  configuration: z.object({
    /** Version of the last configuration that the vehicle has checked, 0 for none. */
    version: z.number().int().min(0),
    /** Report, sent until it is acknowledged. */
    report: configurationReport.optional(),
  }),
  commands: z.object({
    reports: z.array(commandReport).max(MAX_COMMANDS),
    /** The commands that the ECUs offer; sent when the backend asked for them. */
    catalogue: catalogue.optional(),
    /** SHA-256 of the catalogue's canonical JSON, hexadecimal. */
    catalogueDigest: sha256Hex,
  }),
});
export type SyncRequest = Readonly<z.output<typeof syncRequest>>;

export const syncAnswer = z.object({
  configuration: z.object({
    /** The wanted configuration, when its version differs from the vehicle's. */
    wanted: z.object({ version: z.number().int().min(1), parameters: wantedParameters }).nullable(),
    /** Version whose report has arrived; 0 for none. */
    acknowledged: z.number().int().min(0),
  }),
  commands: z.object({
    orders: z.array(commandOrder).max(MAX_COMMANDS),
    /** Ids of commands that the vehicle shall not begin. */
    cancel: z.array(z.string().max(64)).max(64),
    /** Ids of commands whose report has arrived; the vehicle forgets those in a final state. */
    acknowledged: z.array(z.string().max(64)).max(64),
    wantsCatalogue: z.boolean(),
  }),
  /** The backend's time, ISO 8601. Expiry depends on it and not on the vehicle's clock. */
  now: z.iso.datetime({ offset: true }),
});
export type SyncAnswer = Readonly<z.output<typeof syncAnswer>>;
