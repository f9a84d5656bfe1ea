// Data identifiers of one ECU, each by a request of its own: what `can-ota read` does.

import { hexNumber } from '../core/bytes.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { readDid } from './identification.ts';

export type DidReading =
  | { readonly did: number; readonly ok: true; readonly data: Uint8Array }
  | { readonly did: number; readonly ok: false; readonly code: string; readonly reason: string };

/**
 * DIDs without any answer, one after the other, before the ECU counts as silent: at the beginning, and after it has
 * answered, since some ECUs say nothing to a DID that they do not know.
 */
const SILENT_AT_FIRST = 2;
const SILENT_LATER = 5;

/**
 * One that is unknown, or lost on the way, does not spoil the others. The rest is not asked for when the bus is down, or
 * when the ECU stays silent.
 */
export async function readDids(
  options: ExchangeOptions,
  dids: readonly number[],
  signal?: AbortSignal,
): Promise<DidReading[]> {
  const exchange = new Exchange(options);
  const readings: DidReading[] = [];
  let silent = 0;
  let hasAnswered = false;
  for (const did of dids) {
    const name = hexNumber(did, 4).slice(2);
    const bytes = await readDid(exchange, did, `reading DID ${name}`, signal);
    if (bytes.ok && bytes.value !== undefined) {
      readings.push({ did, ok: true, data: bytes.value });
    } else if (bytes.ok) {
      const reason = `${exchange.peer} does not know DID ${name}`;
      readings.push({ did, ok: false, code: 'REFUSED', reason });
    } else {
      readings.push({ did, ok: false, code: bytes.code, reason: bytes.reason });
      if (bytes.code === 'BUS' || bytes.code === 'INTERRUPTED') break;
    }
    const isSilent = !bytes.ok && (bytes.code === 'SILENT' || bytes.code === 'TRANSPORT');
    hasAnswered ||= !isSilent;
    silent = isSilent ? silent + 1 : 0;
    if (silent >= (hasAnswered ? SILENT_LATER : SILENT_AT_FIRST)) break;
  }
  return readings;
}
