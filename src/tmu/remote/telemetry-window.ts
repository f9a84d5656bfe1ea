// Readings of each DID since the last upload: count, mean, minimum, maximum, and the last reading as raw bytes.

import type { Reading } from '../../contract/ecu-services.ts';
import type { Sample } from '../../contract/telemetry.ts';
import { toHex } from '../../core/bytes.ts';
import { defined } from '../../core/optional.ts';

interface Gathered {
  atWallMs: number;
  count: number;
  /** Number of readings that have a numeric value. */
  values: number;
  sum: number;
  min: number;
  max: number;
  last: Reading;
}

/** Longer data is left out of the sample; it is still counted. */
const MAX_RAW_BYTES = 256;
const MAX_UNIT = 16;

export class TelemetryWindow {
  readonly #gathered = new Map<string, Gathered>();

  get isEmpty(): boolean {
    return this.#gathered.size === 0;
  }

  add(reading: Reading, wallMs: number): void {
    let of = this.#gathered.get(reading.did);
    if (of === undefined) {
      of = { atWallMs: wallMs, count: 0, values: 0, sum: 0, min: 0, max: 0, last: reading };
      this.#gathered.set(reading.did, of);
    }
    of.atWallMs = wallMs;
    of.count++;
    of.last = reading;
    const { value } = reading;
    if (value === undefined || !Number.isFinite(value)) return;
    of.min = of.values === 0 ? value : Math.min(of.min, value);
    of.max = of.values === 0 ? value : Math.max(of.max, value);
    of.sum += value;
    of.values++;
  }

  /** Returns one sample for each DID, in the order of their first reading; the window is empty afterwards. */
  close(): Sample[] {
    const samples = [...this.#gathered].map(([did, of]) => sampleOf(did, of));
    this.#gathered.clear();
    return samples;
  }
}

function sampleOf(did: string, of: Gathered): Sample {
  const { atWallMs, count, values, sum, min, max, last } = of;
  const unit = last.unit?.slice(0, MAX_UNIT);
  return {
    did,
    at: new Date(atWallMs).toISOString(),
    count,
    // Rounding of the sum must not put the mean outside the readings.
    ...(values === 0 ? {} : { mean: Math.min(max, Math.max(min, sum / values)), min, max }),
    ...defined({ unit }),
    ...(last.raw.length > MAX_RAW_BYTES ? {} : { raw: toHex(last.raw) }),
  };
}
