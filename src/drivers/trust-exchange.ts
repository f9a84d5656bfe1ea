// Reads trust data of an ECU over UDS: FD20 trust state, FD21 time nonce, FD22 signed version report.

import { z } from 'zod';
import type { Target } from '../campaign/ports.ts';
import { toHex, uintToBytes } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { ATTACKS, type AttackCode } from '../trust/attack.ts';
import type { EcuTrustState } from '../trust/bundle.ts';
import { Nrc } from '../uds/nrc.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
import { Did } from '../uds/sid.ts';
import { authentic } from './activation.ts';
import { type Exchange, type Exchanged, failure, type Refusal } from './exchange.ts';
import { readDid } from './identification.ts';

const NONCE_BYTES = 16;
/** Longest report or state; a longer one breaks the format. */
const MAX_JSON_BYTES = 4095;

const versionNumber = z.number().int().nonnegative();
const stateSchema = z.object({
  verification: z.enum(['partial', 'full']),
  director: z.object({
    root: versionNumber,
    timestamp: versionNumber.optional(),
    snapshot: versionNumber.optional(),
    targets: versionNumber.optional(),
  }),
  images: z
    .object({
      root: versionNumber,
      timestamp: versionNumber.optional(),
      snapshot: versionNumber.optional(),
      targets: versionNumber.optional(),
    })
    .optional(),
  counter: versionNumber,
  time: z.string().max(40).nullable(),
});

/** The metadata for RequestFileTransfer; undefined where the target has none. */
export async function metadataFor(
  exchange: Exchange,
  target: Target,
  signal?: AbortSignal,
): Promise<Exchanged<Uint8Array | undefined>> {
  const { metadata } = target;
  if (exchange.ecu.programming.metadata === 'skip' || metadata === undefined) {
    return { ok: true, value: undefined };
  }
  if (metadata instanceof Uint8Array) return { ok: true, value: metadata };
  const state = await readTrustState(exchange, signal);
  if (!state.ok) return state;
  // Read the nonce last: each read makes a new one, and only the last one counts (Uptane 5.4.2.2).
  const nonce = await readNonce(exchange, signal);
  if (!nonce.ok) return nonce;
  const made = await metadata({ ...state.value, nonce: nonce.value });
  if (signal?.aborted) {
    return failure('INTERRUPTED', `${exchange.peer}: stopped before its metadata was there`, true);
  }
  return made;
}

/** Reads DID FD20, the trust state. */
export async function readTrustState(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<EcuTrustState>> {
  const doing = 'reading what it trusts';
  const bytes = await readDid(exchange, Did.trustState, doing, signal);
  if (!bytes.ok && bytes.nrc === Nrc.conditionsNotCorrect) {
    const reason = `${exchange.peer} trusts no Root yet (${bytes.reason}): provision it with "can-ota provision"`;
    return { ...bytes, reason };
  }
  if (!bytes.ok) return bytes;
  if (bytes.value === undefined) {
    return failure(
      'UNTRUSTED',
      `${exchange.peer} does not know DID FD20 (trust state), so it verifies nothing: provision it with ` +
        '"can-ota provision", or set programming.metadata to "skip" for an ECU of another make',
    );
  }
  const parsed = stateSchema.safeParse(jsonOf(bytes.value));
  if (!parsed.success) {
    const issue = firstIssue(parsed.error);
    const request = readDataByIdentifier.encodeRequest(Did.trustState);
    return exchange.malformed(request, doing, `${issue.path.join('.')}: ${issue.message}`);
  }
  return { ok: true, value: parsed.data as EcuTrustState };
}

/** Reads DID FD21, the nonce for the time; hexadecimal. */
async function readNonce(exchange: Exchange, signal?: AbortSignal): Promise<Exchanged<string>> {
  const doing = 'reading its nonce for the time';
  const bytes = await readDid(exchange, Did.timeNonce, doing, signal);
  if (!bytes.ok) return bytes;
  if (bytes.value?.length === NONCE_BYTES) return { ok: true, value: toHex(bytes.value) };
  const request = readDataByIdentifier.encodeRequest(Did.timeNonce);
  return exchange.malformed(
    request,
    doing,
    `${bytes.value?.length ?? 0} bytes, expected ${NONCE_BYTES}`,
  );
}

/**
 * Reads DID FD22; undefined for an ECU that does not know it. The Director checks its signature later. Where there is a
 * key for it, the read is authenticated, so that the report comes from the ECU itself.
 */
export async function readVersionReport(
  exchange: Exchange,
  signal?: AbortSignal,
): Promise<Exchanged<Uint8Array | undefined>> {
  const doing = 'reading its version report';
  const bytes = await readDid(authentic(exchange), Did.versionReport, doing, signal);
  if (!bytes.ok || bytes.value === undefined) return bytes;
  if (jsonOf(bytes.value) !== undefined) return bytes;
  const request = readDataByIdentifier.encodeRequest(Did.versionReport);
  return exchange.malformed(request, doing, `${bytes.value.length} bytes that are no JSON`);
}

/** Writes DID FD23: the Director has the version report of this counter. */
export async function tellReportReceived(
  exchange: Exchange,
  counter: number,
  signal?: AbortSignal,
): Promise<Exchanged<void>> {
  const secured = exchange.secured();
  // Without the key the ECU continues to report the attack, which does no harm.
  if (secured === undefined) return { ok: true, value: undefined };
  const doing = 'telling it that its version report was received';
  const request = writeDataByIdentifier.encodeRequest(Did.reportReceived, uintToBytes(counter, 8));
  const told = await secured.askFor(request, doing, writeDataByIdentifier.decodeResponse, signal);
  return told.ok ? { ok: true, value: undefined } : told;
}

const attackSchema = z.object({ signed: z.object({ attack: z.enum(ATTACKS) }) });

/** Adds the attack from the next version report (5.4.2.1) to a refusal, whose NRC is always the same. */
export async function explainRefusal(
  exchange: Exchange,
  refused: Refusal,
  what: string,
): Promise<Refusal> {
  const report = await readVersionReport(exchange);
  const parsed = attackSchema.safeParse(
    report.ok && report.value !== undefined ? jsonOf(report.value) : undefined,
  );
  const attack: AttackCode | undefined = parsed.success ? parsed.data.signed.attack : undefined;
  const why = attack === undefined ? 'it does not say why' : `it detected ${attack}`;
  return {
    ...refused,
    code: 'UNTRUSTED',
    transient: false,
    reason: `${exchange.peer} does not accept ${what}: ${why} (${refused.reason})`,
    ...defined({ attack }),
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_JSON_BYTES) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
