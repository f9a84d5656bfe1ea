// The rollback of one ECU: to its other bank, by writing the previous image, or by leaving it alone.

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
  /** What it told before the update, with what the driver itself remembers. */
  readonly before: (told: EcuReport) => EcuReport | undefined;
}

const NOT_TOLD: EcuReport = { version: undefined, sha256: undefined };

/** Nothing was changed: it is only asked what it runs, and an ECU that does not answer is none the worse for it. */
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
  // A switch may be pending: towards the new image (not wanted), or back already (a repeated rollback).
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
      // What only stood beside the running image changes nothing that runs.
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
          `${exchange.peer} does not run again what it ran before, its previous bank cannot be booted: ` +
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

/** The previous image is written again, where the running one is not the old one already. */
export async function restoreSingleBank(
  { exchange, program, before }: SingleBankAccess,
  { target, previous }: RollbackOrder,
  changed: Changed,
  warnings: string[],
  signal?: AbortSignal,
): Promise<Exchanged<RollbackReport>> {
  const now = await readReport(exchange, signal);
  const old = oldReport(previous);
  // The digest of a kept image is no word of the ECU.
  const told = { version: old.version, sha256: previous.sha256 };
  const awaited = {
    ...old,
    tells: before(told) ?? told,
    stale: { version: target.version, sha256: wanted(target).sha256 },
  };
  if (changed === 'unknown') {
    // It is asked before anything is done: an ECU that still holds its image is left alone.
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

/** Its digest covers what its bank holds. A version may be told from RAM, over a bank that is erased. */
function holdsOld({ sha256 }: EcuReport, old: EcuReport): boolean {
  return sha256 !== undefined && sha256 === old.sha256;
}

interface Restarted extends EcuReport {
  readonly arrival: Arrival | 'other';
}

/**
 * What the ECU tells after a restart. Before it, software that runs from RAM and a bootloader that has read the version
 * at its own start tell the old one over an erased bank.
 */
async function restarted(
  exchange: Exchange,
  awaited: Awaited,
  signal?: AbortSignal,
): Promise<Exchanged<Restarted>> {
  const asked = await reset(exchange, signal);
  if (!asked.ok) return asked;
  // Nothing tells the two apart while the restart is still to come.
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

/** A restart would show nothing, and might start what is half erased. */
function notAsked({ peer }: Exchange): Refusal {
  return failure(
    'VERSION_MISMATCH',
    `${peer}: whether its only bank was changed is not known, and it is not asked what it runs`,
  );
}

/** What the ECU tells when it runs again what it ran before. */
function oldReport({ version, sha256, plain, image }: RollbackOrder['previous']): EcuReport {
  return {
    version: version === UNKNOWN_VERSION ? undefined : version,
    sha256: sha256 ?? (plain ?? image)?.sha256,
  };
}

/** It came up, with something else. */
export function isWrongSoftware({ code }: Refusal): boolean {
  return code === 'VERSION_MISMATCH' || code === 'DIGEST_MISMATCH' || code === 'SELF_TEST';
}
