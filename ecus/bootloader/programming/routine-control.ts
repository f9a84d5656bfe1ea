// Service 31 over a table of routines: checks that a routine exists and is allowed, and keeps its results.

import { Nrc } from '../../../src/uds/nrc.ts';
import type { Reply, ServiceContext, ServiceHandler } from '../../../src/uds/server-types.ts';
import * as routineControl from '../../../src/uds/services/routine-control.ts';
import { RoutineControlType } from '../../../src/uds/services/routine-control.ts';
import type { RoutineOutcome, RoutineRule } from './routine-rule.ts';

/** The present conditions of `unlocked` and `authority`. */
export interface RoutineGuard {
  /** Required security level; undefined: none. */
  securityLevel(): number | undefined;
  needsAuthority(): boolean;
}

/** Service 31 over a table of routines. */
export class Routines {
  readonly #rules: Readonly<Record<number, RoutineRule>>;
  readonly #access: RoutineGuard;
  readonly #results = new Map<number, Uint8Array>();

  constructor(rules: Readonly<Record<number, RoutineRule>>, access: RoutineGuard) {
    this.#rules = rules;
    this.#access = access;
  }

  /** Deletes the results of routines at the end of the session in which they ran. */
  forget(): void {
    this.#results.clear();
  }

  handler(): ServiceHandler {
    return {
      minLength: 4,
      subFunctions: { 1: {}, 2: {}, 3: {} },
      functional: false,
      isCostly: (bytes) => this.#isCostly(bytes),
      handle: (bytes, context) => this.#handle(bytes, context),
    };
  }

  #isCostly(bytes: Uint8Array): boolean {
    const request = routineControl.decodeRequest(bytes);
    if (typeof request === 'number') return false;
    return (
      request.control === RoutineControlType.startRoutine &&
      this.#rules[request.routine]?.isCostly === true
    );
  }

  /** ISO 14229-1 14.2: the routine in this session (31), security (33), sub-function (12), then its own checks. */
  async #handle(bytes: Uint8Array, context: ServiceContext): Promise<Reply> {
    const request = routineControl.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    const { control, routine, data } = request;
    const rule = this.#rules[routine];
    const isHere =
      context.authority !== undefined || (rule?.sessions?.includes(context.session) ?? true);
    if (rule === undefined || !isHere) return { nrc: Nrc.requestOutOfRange };
    const against =
      control === RoutineControlType.requestRoutineResults
        ? undefined
        : this.#refuse(rule, context);
    if (against !== undefined) return { nrc: against };
    const outcome = await this.#run(rule, control, routine, data, context);
    if (!(outcome instanceof Uint8Array)) return outcome;
    return { positive: routineControl.encodeResponse(control, routine, outcome) };
  }

  #refuse({ access }: RoutineRule, context: ServiceContext): Nrc | undefined {
    if (access === 'open' || context.authority !== undefined) return undefined;
    if (access === 'authority' && this.#access.needsAuthority()) {
      return Nrc.secureDataTransmissionRequired;
    }
    const level = this.#access.securityLevel();
    return level === undefined || context.securityLevel === level
      ? undefined
      : Nrc.securityAccessDenied;
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
