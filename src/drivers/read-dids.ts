// Data identifiers of one ECU, each by a request of its own: what `can-ota read` does.

import { Exchange, type ExchangeOptions } from './exchange.ts';
import { readDid } from './identification.ts';

export type DidReading =
  | { readonly did: number; readonly ok: true; readonly data: Uint8Array }
  | { readonly did: number; readonly ok: false; readonly code: string; readonly reason: string };

/** Reads each data identifier by a request of its own, so that one unknown does not spoil the others. */
export async function readDids(
  options: ExchangeOptions,
  dids: readonly number[],
  signal?: AbortSignal,
): Promise<DidReading[]> {
  const exchange = new Exchange(options);
  const readings: DidReading[] = [];
  for (const did of dids) {
    const name = did.toString(16).toUpperCase().padStart(4, '0');
    const bytes = await readDid(exchange, did, `reading DID ${name}`, signal);
    if (!bytes.ok) {
      readings.push({ did, ok: false, code: bytes.code, reason: bytes.reason });
      if (bytes.code === 'SILENT' || bytes.code === 'BUS' || bytes.code === 'INTERRUPTED') break;
    } else if (bytes.value === undefined) {
      const reason = `${exchange.peer} does not know DID ${name}`;
      readings.push({ did, ok: false, code: 'REFUSED', reason });
    } else {
      readings.push({ did, ok: true, data: bytes.value });
    }
  }
  return readings;
}
