// Reads data identifiers of one ECU for `can-ota read`, each in a separate request.

import { hexNumber } from '../core/bytes.ts';
import { Sid } from '../uds/services/all.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { readDid } from './identification.ts';

export type DidReading =
  | { readonly did: number; readonly ok: true; readonly data: Uint8Array }
  | { readonly did: number; readonly ok: false; readonly code: string; readonly reason: string };

/**
 * DIDs in a row without an answer after which the ECU is asked whether it is present: at the beginning, and after it
 * has answered. Some ECUs do not answer for a DID that they do not know.
 */
const SILENT_AT_FIRST = 2;
const SILENT_LATER = 5;
const TESTER_PRESENT = Uint8Array.of(Sid.testerPresent, 0x00);

/**
 * Reads each DID. An unknown DID or a lost answer does not affect the others. The remaining DIDs are not read when the
 * bus is down or the ECU stays silent.
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
    if (silent < (hasAnswered ? SILENT_LATER : SILENT_AT_FIRST)) continue;
    if (!(await isThere(exchange, signal))) break;
    hasAnswered = true;
    silent = 0;
  }
  return readings;
}

/** Sends 3E 00, which every ECU knows; a refusal also shows that the ECU is present. */
async function isThere(exchange: Exchange, signal?: AbortSignal): Promise<boolean> {
  const asked = await exchange.ask(TESTER_PRESENT, 'asking whether it is present', signal);
  return asked.ok || asked.nrc !== undefined;
}
