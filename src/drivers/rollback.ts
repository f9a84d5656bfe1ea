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
import { Did, Routine, Session } from '../uds/sid.ts';
import { describeBanks, readBanks, reset } from './activation.ts';
import { type BankAccess, notRestarted, orderBank, resetAndAwait } from './bank-order.ts';
import { ChangeFact } from './change-fact.ts';
import { type Exchange, type Exchanged, failure, type Refusal } from './exchange.ts';
import { readDid } from './identification.ts';
import { wanted } from './image-reader.ts';
import { awaitSoftware } from './restart.ts';
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
  const tells = { version: old.version, sha256: previous.sha256 };
  const awaited = {
    ...old,
    tells,
    stale: { version: target.version, sha256: wanted(target).sha256 },
  };
  if (changed === 'unknown') {
    // It is asked before anything is done: what still is as it was is left alone.
    const isOld = now.ok ? await runsStill(exchange, now.value, old, before(tells), signal) : now;
    if (!isOld.ok) return isOld;
    if (now.ok && isOld.value) return { ok: true, value: { ...now.value, unchanged: true } };
    if (exchange.ecu.programming.identify === 'skip') return notAsked(exchange);
    // It may still be on its way out of the programming session.
    const late = await awaitSoftware(exchange, awaited, signal);
    if (late.ok && late.value === 'there') {
      const report = await readReport(exchange, signal);
      return report.ok ? { ok: true, value: { ...report.value, unchanged: true } } : report;
    }
    if (!late.ok && (late.code === 'INTERRUPTED' || late.code === 'BUS')) return late;
  }
  if (previous.image === undefined) {
    if (!now.ok) return now;
    // What still runs from RAM may be erased in its bank: only what comes up again is there, and nothing tells the two
    // apart while the restart is still to come.
    const restarted = await reset(exchange, signal);
    if (!restarted.ok) return restarted;
    const { resetMs } = exchange.ecu.timing;
    if ((await sleep(exchange.clock, 'restart', resetMs, signal)) === 'aborted') {
      return failure(
        'INTERRUPTED',
        `${exchange.peer}: stopped while waiting for its restart`,
        true,
      );
    }
    const up = await awaitSoftware(exchange, awaited, signal);
    if (!up.ok && !isWrongSoftware(up)) return up;
    const report = await readReport(exchange, signal);
    if (!report.ok) return report;
    const { version } = report.value;
    if (up.ok && version !== undefined && version === old.version) {
      return { ok: true, value: { ...report.value, unchanged: false } };
    }
    return failure(
      'NO_PREVIOUS_IMAGE',
      `${exchange.peer} has one bank and runs ${version ?? 'nothing that it can name'}; its previous image` +
        `${old.version === undefined ? '' : ` ${old.version}`} is not kept here: ${exchange.advise('no-previous-image')}`,
    );
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

/** It told a digest before: only that counts. Otherwise its version, where it is not in its bootloader. */
async function runsStill(
  exchange: Exchange,
  now: EcuReport,
  old: EcuReport,
  tells: EcuReport | undefined,
  signal?: AbortSignal,
): Promise<Exchanged<boolean>> {
  if (now.sha256 !== undefined && old.sha256 !== undefined) {
    return { ok: true, value: now.sha256 === old.sha256 };
  }
  if (tells?.sha256 !== undefined && now.sha256 === undefined) {
    return { ok: true, value: false };
  }
  if (now.version === undefined || now.version !== old.version) return { ok: true, value: false };
  const session = await readDid(
    exchange,
    Did.activeDiagnosticSession,
    'asking for its session',
    signal,
  );
  if (!session.ok) return session;
  return { ok: true, value: session.value?.[0] !== Session.programming };
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
