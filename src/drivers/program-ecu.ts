// One ECU without a backend: what `can-ota flash` and `can-ota read` do.

import type {
  DriverFailure,
  DriverHooks,
  EcuDriver,
  EcuReport,
  Target,
} from '../campaign/ports.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { readDid } from './identification.ts';

export type ProgramPhase = 'stage' | 'activate' | 'verify' | 'confirm' | 'roll-back';

export interface ProgramEcuOptions extends DriverHooks {
  readonly driver: EcuDriver;
  readonly target: Target;
  /** ms that the new software must answer without a restart before it is confirmed; 0 unless given. */
  readonly heartbeatMs?: number;
  readonly onPhase?: (phase: ProgramPhase) => void;
}

export type ProgramEcuResult =
  | {
      readonly ok: true;
      readonly from: string | undefined;
      readonly report: EcuReport;
      /** Over the bus; 0 when the ECU ran this image already. */
      readonly bytes: number;
      readonly transferMs: number;
      readonly warnings: readonly string[];
    }
  | (DriverFailure & {
      readonly phase: ProgramPhase | 'identify';
      readonly warnings: readonly string[];
      /** What became of the way back; undefined when there was nothing to take back. */
      readonly rolledBack?: boolean;
      /** Why the way back failed. */
      readonly rollbackReason?: string;
    });

/** Stage, activate, verify, confirm and commit. What fails after the staging is taken back where the ECU has two banks. */
export async function programEcu(options: ProgramEcuOptions): Promise<ProgramEcuResult> {
  const { driver, target, signal } = options;
  const hooks: DriverHooks = {
    ...(signal === undefined ? {} : { signal }),
    ...(options.progress === undefined ? {} : { progress: options.progress }),
  };
  const warnings: string[] = [];
  const identity = await driver.identify(signal);
  if (!identity.ok) return { ...identity, phase: 'identify', warnings };
  warnings.push(...identity.warnings);
  const from = identity.value.version;

  let bytes = 0;
  let transferMs = 0;
  let knownDtcs: readonly string[] | undefined;
  for (const phase of ['stage', 'activate'] as const) {
    options.onPhase?.(phase);
    const done = await driver[phase](target, hooks);
    if (!done.ok) return undo(options, done, phase, from, warnings);
    warnings.push(...done.warnings);
    bytes += done.value.bytes;
    transferMs += done.value.transferMs;
    knownDtcs ??= done.value.dtcs;
  }
  options.onPhase?.('verify');
  const verified = await driver.verify(
    target,
    { knownDtcs, heartbeatMs: options.heartbeatMs ?? 0 },
    signal,
  );
  if (!verified.ok) return undo(options, verified, 'verify', from, warnings);
  warnings.push(...verified.warnings);
  options.onPhase?.('confirm');
  const confirmed = await driver.confirm(target, signal);
  if (!confirmed.ok) return undo(options, confirmed, 'confirm', from, warnings);
  warnings.push(...confirmed.warnings);
  // Confirmed is confirmed: the next update, or this one once more, raises the counter.
  const committed = await driver.commit(target, signal);
  warnings.push(...(committed.ok ? committed.warnings : [committed.reason]));
  return { ok: true, from, report: verified.value, bytes, transferMs, warnings };
}

async function undo(
  options: ProgramEcuOptions,
  failed: DriverFailure,
  phase: Exclude<ProgramPhase, 'roll-back'>,
  from: string | undefined,
  warnings: string[],
): Promise<ProgramEcuResult> {
  const failure = { ...failed, phase, warnings };
  // Interrupted by a person: the image stays staged, the next run carries on. Nothing was sent: nothing to undo.
  if (failed.code === 'INTERRUPTED') return failure;
  if (
    phase === 'stage' &&
    ['IMAGE_TOO_LARGE', 'IMAGE_INVALID', 'WRONG_HARDWARE', 'SILENT', 'BUS'].includes(failed.code)
  ) {
    return failure;
  }
  options.onPhase?.('roll-back');
  const back = await options.driver.rollback({
    target: options.target,
    previous: { version: from },
    touched: phase !== 'stage',
  });
  return back.ok
    ? { ...failure, rolledBack: true }
    : { ...failure, rolledBack: false, rollbackReason: back.reason };
}

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
