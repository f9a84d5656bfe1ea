// The routines of the bootloader, with their sessions, access and answers.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
import type { Random } from '../../../src/core/random.ts';
import { commitmentOf, commitmentsDigest, RECEIPT_BYTES } from '../../../src/trust/authority.ts';
import {
  decodeActivateOption,
  decodeEvidenceOption,
  decodeRollbackOption,
} from '../../../src/uds/campaign-record.ts';
import { decodeAddressAndLength } from '../../../src/uds/memory-transfer.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import { Routine, Session } from '../../../src/uds/sid.ts';
import { raiseCounter } from '../boot/boot-check.ts';
import { activate, campaignOf, confirm, type RecordChange, rollback } from '../boot/boot-record.ts';
import { commitment } from '../boot/campaign-evidence.ts';
import type { BootedEcu } from '../device.ts';
import type { Programming } from './programming.ts';
import type { RoutineOutcome, RoutineRule } from './routine-rule.ts';

/** Status byte of routines that either succeed or are refused. */
const DONE = Uint8Array.of(0);

/** Bits of the status byte of checkProgrammingPreconditions; 0 when all are met. */
const Precondition = {
  /** An image on trial must be confirmed or rolled back first. */
  trialRunning: 0x01,
  /** A rollback was requested and needs a reset. */
  rollbackPending: 0x02,
} as const;

/** Status byte of checkProgrammingDependencies: 0 when the bank holds a verified image. */
const Dependency = { met: 0, noVerifiedImage: 1 } as const;

export function bootloaderRoutines(
  device: BootedEcu,
  programming: Programming,
  random: Random,
): Readonly<Record<number, RoutineRule>> {
  const { flash, ecu, banks } = device;
  const change = async (event: 'activate' | 'confirm' | 'rollback', step: RecordChange) => {
    const outcome = await flash.update(step);
    if (outcome === 'refused') return { nrc: Nrc.conditionsNotCorrect };
    if (outcome === 'changed') device.emit({ kind: event });
    return DONE;
  };
  /** Refuses an image that no boot would start, before the reset. */
  const refusedTarget = async (): Promise<{ nrc: Nrc } | undefined> => {
    const refusal = await banks.targetRefusal(device);
    if (refusal === undefined) return undefined;
    const { code, where, reason } = refusal;
    device.emit({ kind: 'image-refused', code, reason: `${where}: ${reason}` });
    return { nrc: Nrc.conditionsNotCorrect };
  };
  const extended = [Session.extended, Session.programming];
  return {
    [Routine.checkProgrammingPreconditions]: {
      sessions: extended,
      access: 'open',
      start: empty(() => {
        const { trial, rollbackPending } = flash.record;
        return Uint8Array.of(
          (trial === null ? 0 : Precondition.trialRunning) |
            (rollbackPending ? Precondition.rollbackPending : 0),
        );
      }),
    },
    [Routine.eraseMemory]: {
      isCostly: true,
      sessions: [Session.programming],
      access: 'unlocked',
      start: async (record) => {
        if (record.length > 0) {
          const area = decodeAddressAndLength(record, 0);
          if (typeof area === 'number') return { nrc: area };
          const { address, bankSize } = ecu.memory;
          if (area.address !== address || area.size < 1 || area.size > bankSize) {
            return { nrc: Nrc.requestOutOfRange };
          }
        }
        const nrc = await programming.erase();
        return nrc === undefined ? DONE : { nrc };
      },
    },
    [Routine.checkMemory]: {
      isCostly: true,
      sessions: [Session.programming],
      access: 'unlocked',
      start: async (record) => {
        if (record.length !== 0 && record.length !== 32) {
          return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        }
        const status = await programming.checkMemory(record.length === 0 ? undefined : record);
        return typeof status === 'number' ? Uint8Array.of(status) : status;
      },
    },
    [Routine.checkProgrammingDependencies]: {
      isCostly: true,
      sessions: [Session.programming],
      access: 'unlocked',
      start: empty(() =>
        Uint8Array.of(
          flash.record.banks[flash.targetBank].content === 'valid'
            ? Dependency.met
            : Dependency.noVerifiedImage,
        ),
      ),
    },
    [Routine.activateBank]: {
      isCostly: true,
      sessions: extended,
      access: 'authority',
      start: async (record) => {
        const option = decodeActivateOption(record);
        if (option === undefined) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        const sha256 = toHex(option.sha256);
        const isNamed = flash.record.banks[flash.targetBank].sha256 === sha256;
        const refused = isNamed ? await refusedTarget() : undefined;
        if (refused !== undefined) return refused;
        const campaign = toHex(option.campaign);
        const receipt = toHex(random.bytes(RECEIPT_BYTES));
        return change('activate', activate({ campaign, sha256, receipt }));
      },
    },
    [Routine.confirmBank]: {
      sessions: extended,
      access: 'authority',
      // An image that failed its self test is never confirmed, with any authority.
      start: async (record) => {
        const option = decodeEvidenceOption(record);
        if (option === undefined) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        if (!device.running.selfTestPassed || !runsWhatItHolds(device)) {
          return { nrc: Nrc.conditionsNotCorrect };
        }
        // The commitments must include this ECU's own; otherwise they belong to another campaign.
        const own = campaignOf(flash.record);
        const told = option.evidence.map(toHex);
        if (own === null || !told.includes(commitment(own))) return { nrc: Nrc.requestOutOfRange };
        const campaign = toHex(option.campaign);
        const evidence = toHex(commitmentsDigest(option.evidence));
        const confirmed = await change('confirm', confirm(campaign, evidence));
        if (!(confirmed instanceof Uint8Array)) return confirmed;
        return Uint8Array.of(...confirmed, ...fromHex(own.receipt));
      },
      // Tells whether a confirmation would be accepted; a tester asks every ECU before it confirms the first one.
      results: (record) =>
        record.length > 0
          ? { nrc: Nrc.incorrectMessageLengthOrInvalidFormat }
          : Uint8Array.of(device.running.selfTestPassed ? 0 : 1),
    },
    [Routine.commitCounter]: {
      isCostly: true,
      sessions: extended,
      access: 'authority',
      // Needs the receipts of all ECUs of the campaign, because a raised counter cannot be lowered. A boot never raises
      // it.
      start: async (record) => {
        const option = decodeEvidenceOption(record);
        if (option === undefined) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        const own = campaignOf(flash.record);
        if (!device.identity.locked || !runsWhatItHolds(device)) {
          return { nrc: Nrc.conditionsNotCorrect };
        }
        if (own === null || own.evidence === null || own.id !== toHex(option.campaign)) {
          return { nrc: Nrc.conditionsNotCorrect };
        }
        const commitments = option.evidence.map((each) => commitmentOf(option.campaign, each));
        if (toHex(commitmentsDigest(commitments)) !== own.evidence) {
          return { nrc: Nrc.requestOutOfRange };
        }
        const before = device.trust.counters.security;
        const raised = await raiseCounter(device);
        if (raised === undefined) return { nrc: Nrc.conditionsNotCorrect };
        if (raised.counter > before) device.emit({ kind: 'commit', counter: raised.counter });
        return DONE;
      },
    },
    [Routine.rollbackBank]: {
      isCostly: true,
      sessions: extended,
      access: 'authority',
      start: async (record) => {
        if (!banks.canSwitch) return { nrc: Nrc.requestOutOfRange };
        const option = decodeRollbackOption(record);
        if (option === undefined) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        const { evenConfirmed } = option;
        // After the counter has risen above an older image, a rollback to it is refused.
        const refused =
          evenConfirmed &&
          flash.record.trial === null &&
          flash.record.banks[flash.targetBank].proven
            ? await refusedTarget()
            : undefined;
        return refused ?? change('rollback', rollback(toHex(option.campaign), evenConfirmed));
      },
    },
  };
}

/** Whether the held image runs: false in the bootloader alone, and for a single bank before the boot of a new image. */
function runsWhatItHolds({ running, flash }: BootedEcu): boolean {
  if (running.bank === 'recovery') return false;
  const { content, sha256 } = flash.record.banks[running.bank];
  return content === 'valid' && sha256 === running.sha256;
}

function empty(
  run: () => RoutineOutcome | Promise<RoutineOutcome>,
): (record: Uint8Array) => RoutineOutcome | Promise<RoutineOutcome> {
  return (record) =>
    record.length > 0 ? { nrc: Nrc.incorrectMessageLengthOrInvalidFormat } : run();
}
