// One contact of a vehicle with its backend: it tells what it has done, and hears what is wanted. POST /vehicle/sync, sealed.

import { z } from 'zod';
import { sha256Hex } from '../core/names.ts';
import { catalogue, commandOrder, commandReport } from './command.ts';
import { parameterResult, wantedParameters } from './configuration.ts';

/** Orders and reports in one contact; what is left comes with the next one. */
export const MAX_COMMANDS = 16;

export const configurationReport = z.object({
  version: z.number().int().min(1),
  /** ISO 8601, by the vehicle's clock. */
  at: z.iso.datetime({ offset: true }),
  results: z.array(parameterResult).max(64),
  /** What is in force now: all parameters. */
  inForce: z.record(z.string(), z.json()),
});
export type ConfigurationReport = Readonly<z.output<typeof configurationReport>>;

export const syncRequest = z.object({
  vin: z.string().max(32),
  configuration: z.object({
    /** Of the last one that was judged, 0 for none. */
    version: z.number().int().min(0),
    /** Told until it is acknowledged. */
    report: configurationReport.optional(),
  }),
  commands: z.object({
    reports: z.array(commandReport).max(MAX_COMMANDS),
    /** What the ECUs can be told to do; sent when the backend asked for it. */
    catalogue: catalogue.optional(),
    /** SHA-256 of the catalogue's canonical JSON, hexadecimal. */
    catalogueDigest: sha256Hex,
  }),
});
export type SyncRequest = Readonly<z.output<typeof syncRequest>>;

export const syncAnswer = z.object({
  configuration: z.object({
    /** The wanted one, when its version is another one than the vehicle told. */
    wanted: z.object({ version: z.number().int().min(1), parameters: wantedParameters }).nullable(),
    /** The report of this version has arrived; 0 for none. */
    acknowledged: z.number().int().min(0),
  }),
  commands: z.object({
    orders: z.array(commandOrder).max(MAX_COMMANDS),
    /** Ids that shall not be begun any more. */
    cancel: z.array(z.string().max(64)).max(64),
    /** Ids whose report has arrived in the state told: forget them where that state is final. */
    acknowledged: z.array(z.string().max(64)).max(64),
    wantsCatalogue: z.boolean(),
  }),
  /** The backend's time, ISO 8601: expiry is judged by it, whatever the vehicle's clock says. */
  now: z.iso.datetime({ offset: true }),
});
export type SyncAnswer = Readonly<z.output<typeof syncAnswer>>;
