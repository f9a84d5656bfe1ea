// What a TMU tells of itself with each check-in: how long it runs, its disk, its supply, its buses. TMU and server read it here.

import { z } from 'zod';
import { isSafeLine } from '../core/text.ts';

/** The largest telemetry, as JSON in UTF-8. */
const MAX_TELEMETRY_BYTES = 4000;
/** A vehicle has fewer. */
export const MAX_BUSES = 8;

/** Some hundred years; clocks and counters of machines are below it. */
const seconds = z.number().min(0).max(4e9);
const count = z.int().min(0);
const errorCounter = z.int().min(0).max(65_535);

/** One bus. What it cannot measure is missing. */
const busTelemetry = z.strictObject({
  /** `can0`, `bench`: its name on the machine. */
  name: z
    .string()
    .min(1)
    .max(64)
    .refine(isSafeLine, 'expected one line without control characters'),
  state: z.enum(['active', 'warning', 'passive', 'bus-off', 'down']),
  /** How much of the time the wire was in use by any node. */
  load: z
    .strictObject({
      permille: z.int().min(0).max(1000),
      /** Seconds that it is about: since the check-in before, or since the start. */
      overS: seconds,
      /** True: it was at least this much; the interface counts frames and no stuff bits. */
      isLeast: z.boolean(),
    })
    .optional(),
  /** Frames of the TMU itself since it opened the bus; `lost`: known to be lost in its reception. */
  frames: z.strictObject({ sent: count, received: count, lost: count }),
  /** Bus errors that the controller has counted. */
  errors: count.optional(),
  /** Frames that the interface has dropped. */
  dropped: count.optional(),
  /** TEC and REC of ISO 11898-1 12.1.4. */
  errorCounters: z.strictObject({ transmit: errorCounter, receive: errorCounter }).optional(),
});

export const checkinTelemetry = z
  .strictObject({
    /** Seconds since the daemon started. */
    daemonUptimeS: seconds,
    /** Seconds since the machine started. */
    systemUptimeS: seconds.optional(),
    /** The file system of the state directory, in bytes; `freeBytes`: what the daemon may still use. */
    storage: z.strictObject({ freeBytes: count, totalBytes: count }).optional(),
    /** Volts, by the signal `battery` of the vehicle file. */
    supplyV: z.number().min(-1000).max(1000).optional(),
    buses: z.array(busTelemetry).max(MAX_BUSES),
  })
  .refine(
    ({ storage }) => storage === undefined || storage.freeBytes <= storage.totalBytes,
    'storage: more is free than there is',
  )
  .refine(
    (telemetry) => Buffer.byteLength(JSON.stringify(telemetry)) <= MAX_TELEMETRY_BYTES,
    `expected at most ${MAX_TELEMETRY_BYTES} bytes of JSON`,
  );

export type BusTelemetry = Readonly<z.output<typeof busTelemetry>>;
export type CheckinTelemetry = Readonly<z.output<typeof checkinTelemetry>>;
