// Measured data and who sent it, as they are stored.

import { z } from 'zod';
import type { Sample } from '../../../src/contract/telemetry.ts';
import { count, tableRows, text, time } from '../../platform/db/row.ts';

export interface StoredSample extends Sample {
  /** Time by the vehicle's clock, in UTC. */
  readonly at: string;
  readonly receivedAt: string;
}

const number = z.number();

const sampleRows = tableRows('telemetry_samples', {
  id: text,
  vin: text,
  did: text,
  at: time,
  count: number,
  mean: number.nullable(),
  min: number.nullable(),
  max: number.nullable(),
  unit: text.nullable(),
  raw: text.nullable(),
  received_at: time,
});

export function sampleOf(row: unknown): StoredSample {
  const { did, at, count, mean, min, max, unit, raw, received_at } = sampleRows.read(row);
  return {
    ...{ did, at, count },
    ...(mean === null ? {} : { mean }),
    ...(min === null ? {} : { min }),
    ...(max === null ? {} : { max }),
    ...(unit === null ? {} : { unit }),
    ...(raw === null ? {} : { raw }),
    receivedAt: received_at,
  };
}

const senderRows = tableRows('telemetry_senders', {
  id: text,
  vin: text,
  sender: text,
  highest: count,
  batches: count,
  samples: count,
  duplicates: count,
  lost: count,
  dropped: count,
  heard_at: time,
});
export const senderOf = senderRows.read;
