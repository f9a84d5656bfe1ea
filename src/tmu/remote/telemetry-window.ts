// What was read of each DID since the last upload: count, mean, least, most, and the last reading as it came.

import type { Reading } from '../../contract/ecu-services.ts';
import type { Sample } from '../../contract/telemetry.ts';
import { toHex } from '../../core/bytes.ts';
import { defined } from '../../core/optional.ts';

interface Gathered {
  atWallMs: number;
  count: number;
  /** Of the readings that have one. */
  values: number;
  sum: number;
  min: number;
  max: number;
  last: Reading;
}

/** Longer data is left out of the sample; its count stays. */
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

  /** One sample for each DID, in the order in which they first came; the window is empty afterwards. */
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
    // The rounding of a sum must not put the mean outside of what was read.
    ...(values === 0 ? {} : { mean: Math.min(max, Math.max(min, sum / values)), min, max }),
    ...defined({ unit }),
    ...(last.raw.length > MAX_RAW_BYTES ? {} : { raw: toHex(last.raw) }),
  };
}
