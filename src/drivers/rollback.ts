// The rollback of one ECU: it switches to the other bank, writes the previous image, or changes nothing.

import type {
  Changed,
  EcuReport,
  RollbackOrder,
  RollbackReport,
  Target,
  TransferReport,
} from '../campaign/ports.ts';
import { fromHex } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import { encodeRollbackOption } from '../uds/campaign-record.ts';
import { Routine } from '../uds/sid.ts';
import { describeBanks, readBanks, reset } from './activation.ts';
import { type BankAccess, notRestarted, orderBank, resetAndAwait } from './bank-order.ts';
import { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, failure, type Refusal } from './exchange.ts';
import { wanted } from './image-reader.ts';
import { type Arrival, type Awaited, awaitSoftware } from './restart.ts';
import { readReport } from './verification.ts';

export interface SingleBankAccess {
  readonly exchange: Exchange;
  /** Writes an image, and resets the ECU. */
  readonly program: (target: Target) => Promise<Exchanged<TransferReport>>;
  /** The report before the update, completed with what the driver remembers. */
  readonly before: (told: EcuReport) => EcuReport | undefined;
}

const NOT_TOLD: EcuReport = { version: undefined, sha256: undefined };

/** Rollback of an unchanged ECU: only reads what it runs. An ECU that does not answer gives a warning, no failure. */
export async function leaveAlone(
  exchange: Exchange,
  warnings: string[],
  signal?: AbortSignal,
): Promise<Exchanged<RollbackReport>> {
  const report = await readReport(exchange, signal);
  if (report.ok) return { ok: true, value: { ...report.value, unchanged: true } };
  if (report.code === 'INTERRUPTED') return report;
  warnings.push(`nothing was changed in ${exchange.ecu.name}, but: ${report.reason}`);
  return { ok: true, value: { ...NOT_TOLD, unchanged: true } };
}

export async function rollBackBank(
  access: BankAccess,
  { target }: RollbackOrder,
  changed: Changed,
  fact: ChangeFact,
  signal?: AbortSignal,
): Promise<Exchanged<RollbackReport>> {
  const { exchange } = access;
  const before = await readBanks(exchange, signal);
  if (!before.ok) return before;
  const { sha256 } = wanted(target);
  const { active, inactive, state } = before.value;
  const switched = active === sha256;
  // A switch may be pending: to the new image (not wanted), or already back (a repeated rollback).
  const pendingBack = switched && state.activationPending;
  const isInvolved = switched || inactive === sha256 || state.activationPending;
  if (isInvolved && !pendingBack) {
    const asked = await orderBank(
      access,
      {
        routine: Routine.rollbackBank,
        doing: 'rolling back',
        option: encodeRollbackOption({
          campaign: fromHex(target.campaign),
          evenConfirmed: switched && state.mode === 'confirmed',
        }),
        staysInSession: switched,
      },
      (banks) =>
        switched
          ? banks.active !== sha256 || banks.state.activationPending
          : banks.inactive !== sha256 && !banks.state.activationPending,
      // Discarding an image beside the running one does not change the running software.
      switched || state.activationPending ? fact : new ChangeFact(),
      signal,
    );
    if (!asked.ok) return asked;
  }
  if (switched) {
    const back = await resetAndAwait(
      exchange,
      (banks) =>
        banks.active !== undefined && banks.active !== sha256 && !banks.state.activationPending,
      (banks) =>
        notRestarted(exchange, banks) ??
        failure(
          'REFUSED',
          `${exchange.peer} does not run its previous software, because the previous bank cannot be booted: ` +
            describeBanks(banks),
        ),
      signal,
    );
    if (!back.ok) return back;
  }
  const report = await readReport(exchange, signal);
  if (!report.ok) return report;
  const unchanged = !isInvolved && changed !== 'yes' && state.inactive !== 'receiving';
  return { ok: true, value: { ...report.value, unchanged } };
}

/** Writes the previous image again, unless the ECU already runs it. */
export async function restoreSingleBank(
  { exchange, program, before }: SingleBankAccess,
  { target, previous }: RollbackOrder,
  changed: Changed,
  warnings: string[],
  signal?: AbortSignal,
): Promise<Exchanged<RollbackReport>> {
  const now = await readReport(exchange, signal);
  const old = oldReport(previous);
  // Use the digest that the ECU reported, not the digest of the kept image.
  const told = { version: old.version, sha256: previous.sha256 };
  const awaited = {
    ...old,
    tells: before(told) ?? told,
    stale: { version: target.version, sha256: wanted(target).sha256 },
  };
  if (changed === 'unknown') {
    // Ask before anything is written: an ECU that still holds its image is not changed.
    if (!now.ok) return now;
    if (holdsOld(now.value, old)) return { ok: true, value: { ...now.value, unchanged: true } };
    if (exchange.ecu.programming.identify === 'skip') return notAsked(exchange);
  }
  if (changed === 'unknown' || previous.image === undefined) {
    if (!now.ok) return now;
    const up = await restarted(exchange, awaited, signal);
    if (up.ok && runsOld(up.value, old)) {
      const { version, sha256 } = up.value;
      return { ok: true, value: { version, sha256, unchanged: changed === 'unknown' } };
    }
    if (previous.image === undefined) return up.ok ? notKept(exchange, up.value, old) : up;
    if (!up.ok && (up.code === 'INTERRUPTED' || up.code === 'BUS')) return up;
  }
  if (now.ok && now.value.sha256 !== undefined && now.value.sha256 === old.sha256) {
    return { ok: true, value: { ...now.value, unchanged: false } };
  }
  const { campaign } = target;
  const written = await program({ ...previous, campaign, image: previous.image });
  if (!written.ok) return written;
  const back = await awaitSoftware(exchange, awaited, signal);
  if (!back.ok) return back;
  if (back.value === 'unseen') warnings.push(unseenText(exchange));
  const report = await readReport(exchange, signal);
  return report.ok ? { ok: true, value: { ...report.value, unchanged: false } } : report;
}

/**
 * Whether the bank holds the old image, by its digest. A version is no proof: it can come from RAM over an erased bank.
 */
function holdsOld({ sha256 }: EcuReport, old: EcuReport): boolean {
  return sha256 !== undefined && sha256 === old.sha256;
}

interface Restarted extends EcuReport {
  readonly arrival: Arrival | 'other';
}

/**
 * Restarts the ECU and reads its report. Before a restart, software in RAM or a bootloader with a cached version can
 * report the old version although the bank is erased.
 */
async function restarted(
  exchange: Exchange,
  awaited: Awaited,
  signal?: AbortSignal,
): Promise<Exchanged<Restarted>> {
  const asked = await reset(exchange, signal);
  if (!asked.ok) return asked;
  // Old and restarted software cannot be told apart before the restart, so wait for it.
  const { resetMs } = exchange.ecu.timing;
  if ((await sleep(exchange.clock, 'restart', resetMs, signal)) === 'aborted') {
    return failure('INTERRUPTED', `${exchange.peer}: stopped while waiting for its restart`, true);
  }
  const up = await awaitSoftware(exchange, awaited, signal);
  if (!up.ok && !isWrongSoftware(up)) return up;
  const report = await readReport(exchange, signal);
  if (!report.ok) return report;
  return { ok: true, value: { ...report.value, arrival: up.ok ? up.value : 'other' } };
}

function runsOld({ arrival, version, sha256 }: Restarted, old: EcuReport): boolean {
  if (arrival !== 'there') return false;
  if (sha256 !== undefined && old.sha256 !== undefined) return sha256 === old.sha256;
  return version !== undefined && version === old.version;
}

function notKept(exchange: Exchange, { version }: EcuReport, old: EcuReport): Refusal {
  const kept = old.version === undefined ? '' : ` ${old.version}`;
  return failure(
    'NO_PREVIOUS_IMAGE',
    `${exchange.peer} has one bank and runs ${version ?? 'nothing that it can name'}; its previous image${kept} ` +
      `is not kept here: ${exchange.advise('no-previous-image')}`,
  );
}

export function unseenText(exchange: Exchange): string {
  return (
    `${exchange.ecu.name}: it answers in its default session again after its reset; ` +
    'nothing that it tells shows which software it runs'
  );
}

/** The failure for an ECU that cannot be asked: a restart would show nothing and could start a half erased image. */
function notAsked({ peer }: Exchange): Refusal {
  return failure(
    'VERSION_MISMATCH',
    `${peer}: whether its only bank was changed is not known, and it is not asked what it runs`,
  );
}

/** The report of an ECU that runs its previous software again. */
function oldReport({ version, sha256, plain, image }: RollbackOrder['previous']): EcuReport {
  return {
    version: version === UNKNOWN_VERSION ? undefined : version,
    sha256: sha256 ?? (plain ?? image)?.sha256,
  };
}

/** Whether the ECU has started with other software. */
export function isWrongSoftware({ code }: Refusal): boolean {
  return code === 'VERSION_MISMATCH' || code === 'DIGEST_MISMATCH' || code === 'SELF_TEST';
}
