// The state of the TMU in each check-in: uptime, disk, supply voltage, buses. TMU and server share this schema.

import { z } from 'zod';
import { isSafeLine } from '../core/text.ts';

/** Largest telemetry in bytes of UTF-8 JSON. */
const MAX_TELEMETRY_BYTES = 4000;
/** Limit of buses, more than a vehicle has. */
export const MAX_BUSES = 8;

/** A duration in seconds, limited to about 127 years, which no clock or counter of a machine exceeds. */
const seconds = z.number().min(0).max(4e9);
const count = z.int().min(0);
const errorCounter = z.int().min(0).max(65_535);

/** One bus. Values that it cannot measure are missing. */
const busTelemetry = z.strictObject({
  /** Name of the bus on the machine: `can0`, `bench`. */
  name: z
    .string()
    .min(1)
    .max(64)
    .refine(isSafeLine, 'expected one line without control characters'),
  state: z.enum(['active', 'warning', 'passive', 'bus-off', 'down']),
  /** Share of the time in which any node used the wire. */
  load: z
    .strictObject({
      permille: z.int().min(0).max(1000),
      /** Length of the measured period: since the last check-in, or since the start. */
      overS: seconds,
      /** True when the load is a lower limit, because the interface counts frames without stuff bits. */
      isLeast: z.boolean(),
    })
    .optional(),
  /** Frames of the TMU since it opened the bus; `lost`: frames known to be lost in reception. */
  frames: z.strictObject({ sent: count, received: count, lost: count }),
  /** Number of bus errors that the controller has counted. */
  errors: count.optional(),
  /** Number of frames that the interface has dropped. */
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
    /** The file system of the state directory; `freeBytes`: space that the daemon may still use. */
    storage: z.strictObject({ freeBytes: count, totalBytes: count }).optional(),
    /** Supply voltage in V, from the signal `battery` of the vehicle file. */
    supplyV: z.number().min(-1000).max(1000).optional(),
    buses: z.array(busTelemetry).max(MAX_BUSES),
  })
  .refine(
    ({ storage }) => storage === undefined || storage.freeBytes <= storage.totalBytes,
    'storage: expected freeBytes to be at most totalBytes',
  )
  .refine(
    (telemetry) => Buffer.byteLength(JSON.stringify(telemetry)) <= MAX_TELEMETRY_BYTES,
    `expected at most ${MAX_TELEMETRY_BYTES} bytes of JSON`,
  );

export type BusTelemetry = Readonly<z.output<typeof busTelemetry>>;
export type CheckinTelemetry = Readonly<z.output<typeof checkinTelemetry>>;
