// How a board with OpenBLT is programmed: XCP 1.0 on CAN, its time-outs, its read-back and the frame of its application.

import { z } from 'zod';
import { address32, byte } from './field-schema.ts';

const timeoutMs = (standard: number) => z.number().positive().default(standard);

/** The identifiers that OpenBLT has by default. */
export const OPENBLT_ADDRESS: {
  readonly mode: 'normal';
  readonly request: number;
  readonly response: number;
  readonly functional?: number | undefined;
  readonly extended: boolean;
} = { mode: 'normal', request: 0x667, response: 0x7e1, extended: false };

/** `programming.openblt` of the vehicle file. */
export const openbltSchema = z
  .strictObject({
    /** How long CONNECT is repeated until the boot loader answers. */
    waitForPowerOnMs: z.number().positive().default(10_000),
    /** Time-outs of XCP 1.0 part 2; the defaults are those of OpenBLT's host. */
    timing: z
      .strictObject({
        t1Ms: timeoutMs(1000),
        t3Ms: timeoutMs(2000),
        t4Ms: timeoutMs(10_000),
        t5Ms: timeoutMs(1000),
        t6Ms: timeoutMs(50),
        t7Ms: timeoutMs(2000),
      })
      .prefault({}),
    /** Commands are filled up to 8 bytes with it; null: they have their own length. */
    padding: byte.nullable().default(null),
    /** The programmed bytes are read by UPLOAD and compared. */
    readBack: z.enum(['required', 'try', 'skip']).default('try'),
    /** Bytes of the image that the boot loader replaces by its checksum: they are not compared. */
    checksum: z
      .strictObject({ address: address32, size: z.number().int().min(1).max(256).default(4) })
      .optional(),
    /** Time from a reset until the boot loader has left for the application. */
    bootMs: z.number().positive().default(1500),
    /** A frame that only the application sends. */
    alive: z
      .strictObject({
        id: z
          .union([z.number().int(), z.string().regex(/^0x[0-9a-fA-F]+$/)])
          .transform(Number)
          .pipe(z.number().int().min(0).max(0x1fff_ffff)),
        extended: z.boolean().default(false),
        /** Longest time from one frame to the next. */
        everyMs: z.number().positive().default(1000),
      })
      .optional(),
  })
  .prefault({});

/** The steps of UDS that an OpenBLT board has not. */
export const OPENBLT_PROGRAMMING = {
  protocol: 'openblt',
  identify: 'skip',
  controlDtcSetting: 'skip',
  communicationControl: 'skip',
  preconditions: 'skip',
  fingerprint: 'skip',
  metadata: 'skip',
  erase: 'required',
  checkMemory: 'skip',
  dependencies: 'skip',
  activation: 'reset',
  segments: 'each',
  keepAlive: 'none',
} as const;
