// RoutineControl (31) of the bootloader: which routine exists where, and what it answers.

import { decodeAddressAndLength } from '../../src/uds/memory-transfer.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import type { Reply, ServiceContext, ServiceHandler } from '../../src/uds/server-types.ts';
import * as routineControl from '../../src/uds/services/routine-control.ts';
import { RoutineControlType } from '../../src/uds/services/routine-control.ts';
import { Routine, Session } from '../../src/uds/sid.ts';
import { raiseCounter, verifyBank } from './boot-check.ts';
import { activate, type BankIndex, confirm, type RecordChange, rollback } from './boot-record.ts';
import type { Device } from './device.ts';
import type { Programming } from './programming.ts';

/** The status record of a routine, or why it was refused. */
export type RoutineOutcome = Uint8Array | { readonly nrc: Nrc };

export interface RoutineRule {
  /** Elsewhere the routine does not exist: 31 (ISO 14229-1 14.2.4). All sessions when missing. */
  readonly sessions?: readonly number[];
  readonly secured: boolean;
  start(record: Uint8Array, context: ServiceContext): RoutineOutcome | Promise<RoutineOutcome>;
  /** Missing: the routine ends by itself and cannot be stopped, 12. */
  stop?(record: Uint8Array): RoutineOutcome;
  /** Missing: the status of the last start is kept and told. */
  results?(record: Uint8Array): RoutineOutcome;
}

/** Status byte of the routines that either work or are refused. */
const DONE = Uint8Array.of(0);

/** Bits of the status byte of checkProgrammingPreconditions; 0 when all are met. */
export const Precondition = {
  /** An image on trial must be confirmed or rolled back first. */
  trialRunning: 0x01,
  /** A rollback was requested and awaits its reset. */
  rollbackPending: 0x02,
} as const;

/** Status byte of checkProgrammingDependencies: 0 when the bank holds a verified image. */
export const Dependency = { met: 0, noVerifiedImage: 1 } as const;

export function bootloaderRoutines(
  device: Device,
  programming: Programming,
): Readonly<Record<number, RoutineRule>> {
  const { flash, ecu } = device;
  const change = async (event: 'activate' | 'confirm' | 'rollback', step: RecordChange) => {
    if (ecu.memory.banks === 1) return { nrc: Nrc.requestOutOfRange };
    const outcome = await flash.update(step);
    if (outcome === 'refused') return { nrc: Nrc.conditionsNotCorrect };
    if (outcome === 'changed') device.emit({ kind: event });
    return DONE;
  };
  /** A way that no boot would go: better said now than found out by the reset. */
  const refusedBank = async (bank: BankIndex): Promise<{ nrc: Nrc } | undefined> => {
    if (ecu.memory.banks === 1 || flash.record.banks[bank].content !== 'valid') return undefined;
    const verified = await verifyBank(device, bank);
    if (verified.ok) return undefined;
    const { code, where, reason } = verified;
    device.emit({ kind: 'image-refused', code, reason: `${where}: ${reason}` });
    return { nrc: Nrc.conditionsNotCorrect };
  };
  const extended = [Session.extended, Session.programming];
  return {
    [Routine.checkProgrammingPreconditions]: {
      sessions: extended,
      secured: false,
      start: empty(() => {
        const { trial, rollbackPending } = flash.record;
        return Uint8Array.of(
          (trial === null ? 0 : Precondition.trialRunning) |
            (rollbackPending ? Precondition.rollbackPending : 0),
        );
      }),
    },
    [Routine.eraseMemory]: {
      sessions: [Session.programming],
      secured: true,
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
      sessions: [Session.programming],
      secured: true,
      start: async (record) => {
        if (record.length !== 0 && record.length !== 32) {
          return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        }
        const status = await programming.checkMemory(record.length === 0 ? undefined : record);
        return typeof status === 'number' ? Uint8Array.of(status) : status;
      },
    },
    [Routine.checkProgrammingDependencies]: {
      sessions: [Session.programming],
      secured: true,
      start: empty(() =>
        Uint8Array.of(
          flash.record.banks[flash.targetBank].content === 'valid'
            ? Dependency.met
            : Dependency.noVerifiedImage,
        ),
      ),
    },
    [Routine.activateBank]: {
      sessions: extended,
      secured: true,
      start: empty(async () => {
        const refused = await refusedBank(flash.targetBank);
        return refused ?? change('activate', activate);
      }),
    },
    [Routine.confirmBank]: {
      sessions: extended,
      secured: true,
      // An image that failed its self test must not become the confirmed one, whoever asks for it.
      start: empty(async () => {
        if (!device.running.selfTestPassed) return { nrc: Nrc.conditionsNotCorrect };
        if (ecu.memory.banks === 1) {
          // No trial ends there: the answer says that the image has come up.
          if (!runsWhatItHolds(device)) return { nrc: Nrc.conditionsNotCorrect };
          device.emit({ kind: 'confirm' });
          return DONE;
        }
        return change('confirm', confirm);
      }),
      // Whether a confirmation would be taken: a tester asks every ECU before it confirms the first one.
      results: (record) =>
        record.length > 0
          ? { nrc: Nrc.incorrectMessageLengthOrInvalidFormat }
          : Uint8Array.of(device.running.selfTestPassed ? 0 : 1),
    },
    [Routine.commitCounter]: {
      sessions: extended,
      secured: true,
      // Only when every ECU of the vehicle is confirmed: a raised counter has no way back, and no boot raises it.
      start: empty(async () => {
        if (!device.identity.locked || !runsWhatItHolds(device)) {
          return { nrc: Nrc.conditionsNotCorrect };
        }
        const before = device.trust.counters.security;
        const raised = await raiseCounter(device);
        if (raised === undefined) return { nrc: Nrc.conditionsNotCorrect };
        if (raised.counter > before) device.emit({ kind: 'commit', counter: raised.counter });
        return DONE;
      }),
    },
    [Routine.rollbackBank]: {
      sessions: extended,
      secured: true,
      /** Option record: nothing, or 01 to go back even from a confirmed image. */
      start: async (record) => {
        if (record.length > 1) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        if (record.length === 1 && record[0]! > 1) return { nrc: Nrc.requestOutOfRange };
        const confirmedToo = record[0] === 1;
        // Once the counter has risen above it, an older image is no way back any more.
        const refused =
          confirmedToo && flash.record.trial === null && flash.record.banks[flash.targetBank].proven
            ? await refusedBank(flash.targetBank)
            : undefined;
        return refused ?? change('rollback', rollback(confirmedToo));
      },
    },
  };
}

/** False in the bootloader alone, and while the only bank holds an image that no boot has started yet. */
function runsWhatItHolds({ running, flash }: Device): boolean {
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

/** Service 31 over a table of routines. `securityLevel`: what `secured` needs now; undefined: nothing. */
export class Routines {
  readonly #rules: Readonly<Record<number, RoutineRule>>;
  readonly #securityLevel: () => number | undefined;
  readonly #results = new Map<number, Uint8Array>();

  constructor(
    rules: Readonly<Record<number, RoutineRule>>,
    securityLevel: () => number | undefined,
  ) {
    this.#rules = rules;
    this.#securityLevel = securityLevel;
  }

  /** Results of routines belong to the session in which these ran. */
  forget(): void {
    this.#results.clear();
  }

  handler(): ServiceHandler {
    return {
      minLength: 4,
      subFunctions: { 1: {}, 2: {}, 3: {} },
      functional: false,
      handle: (bytes, context) => this.#handle(bytes, context),
    };
  }

  /** ISO 14229-1 14.2: the routine in this session (31), security (33), sub-function (12), then its own checks. */
  async #handle(bytes: Uint8Array, context: ServiceContext): Promise<Reply> {
    const request = routineControl.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    const { control, routine, data } = request;
    const rule = this.#rules[routine];
    if (rule === undefined || !(rule.sessions?.includes(context.session) ?? true)) {
      return { nrc: Nrc.requestOutOfRange };
    }
    const level = this.#securityLevel();
    if (rule.secured && level !== undefined && context.securityLevel !== level) {
      return { nrc: Nrc.securityAccessDenied };
    }
    const outcome = await this.#run(rule, control, routine, data, context);
    if (!(outcome instanceof Uint8Array)) return outcome;
    return { positive: routineControl.encodeResponse(control, routine, outcome) };
  }

  async #run(
    rule: RoutineRule,
    control: RoutineControlType,
    routine: number,
    data: Uint8Array,
    context: ServiceContext,
  ): Promise<RoutineOutcome> {
    switch (control) {
      case RoutineControlType.startRoutine: {
        const outcome = await rule.start(data, context);
        if (outcome instanceof Uint8Array) this.#results.set(routine, outcome);
        return outcome;
      }
      case RoutineControlType.stopRoutine:
        return rule.stop?.(data) ?? { nrc: Nrc.subFunctionNotSupported };
      case RoutineControlType.requestRoutineResults:
        if (rule.results !== undefined) return rule.results(data);
        if (data.length > 0) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
        return this.#results.get(routine) ?? { nrc: Nrc.requestSequenceError };
    }
  }
}
