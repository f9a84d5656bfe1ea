// The application of an ECU from a boot to the next reset: its measured values, writable values, outputs and routines
// (2E, 2F, 31), as its profile describes them. The bootloader alone has none of them.

import { bytesToUint, concatBytes, fromHex, toHex, uintToBytes } from '../../../src/core/bytes.ts';
import { type Clock, sleep } from '../../../src/core/clock.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import type { Reply } from '../../../src/uds/server-types.ts';
import * as inputOutputControl from '../../../src/uds/services/input-output-control.ts';
import { Session } from '../../../src/uds/sid.ts';
import type { CyclicFrame } from '../../normal-traffic.ts';
import type {
  ApplicationRoutine,
  ApplicationState,
  ControllableDid,
  WritableDid,
} from '../../profile.ts';
import type { BootedEcu } from '../device.ts';
import type { RoutineOutcome, RoutineRule } from '../programming/routine-rule.ts';

const { ControlParameter } = inputOutputControl;

/** First byte of the results of a routine: its findings follow, or it has not run since power-on. */
const RunStatus = { done: 0, notRun: 1 } as const;

/** Length of a run counter in bytes. */
const COUNTER_BYTES = 4;

export class Application {
  readonly #device: BootedEcu;
  readonly #clock: Clock;
  readonly #writable: ReadonlyMap<number, WritableDid>;
  readonly #controllable: ReadonlyMap<number, ControllableDid>;
  /** Values of outputs that testers hold, by DID. They are in RAM: a reset releases them. */
  readonly #held = new Map<number, number>();
  /** Results of the last run since the boot, by routine. */
  readonly #results = new Map<number, Uint8Array>();

  constructor(device: BootedEcu, clock: Clock) {
    this.#device = device;
    this.#clock = clock;
    const { writable = [], controllable = [] } = device.profile;
    this.#writable = new Map(this.#runs ? writable.map((each) => [each.did, each]) : []);
    this.#controllable = new Map(this.#runs ? controllable.map((each) => [each.did, each]) : []);
  }

  get #runs(): boolean {
    return this.#device.running.bank !== 'recovery';
  }

  get takesWrites(): boolean {
    return this.#writable.size > 0;
  }

  get takesControl(): boolean {
    return this.#controllable.size > 0;
  }

  /** Whether a tester may set this DID by 2E. */
  takes(did: number): boolean {
    return this.#writable.has(did);
  }

  /** The value of a DID; undefined for an unknown one. The bootloader alone also answers some live values. */
  read(did: number, nowMs: number): Uint8Array | undefined {
    const state = this.#stateAt(nowMs);
    const bytes = (this.#writable.get(did) ?? this.#controllable.get(did))?.bytes;
    if (bytes !== undefined) return uintToBytes(state.value(did), bytes);
    return this.#device.profile.live
      .find((live) => live.did === did && (live.always === true || this.#runs))
      ?.read(state.upMs, state);
  }

  /** Writes a value; undefined when it is stored durably. Throws StorageError; then the old value stays. */
  async write(did: number, data: Uint8Array, nowMs: number): Promise<Nrc | undefined> {
    const described = this.#writable.get(did);
    if (described === undefined) return Nrc.requestOutOfRange;
    if (data.length !== described.bytes) return Nrc.incorrectMessageLengthOrInvalidFormat;
    const against = described.refuses(bytesToUint(data), this.#stateAt(nowMs));
    if (against !== undefined) return against;
    const { nv } = this.#device;
    const { values } = nv.content;
    try {
      await nv.store({ values: { ...values, [key(did)]: toHex(data) } });
    } catch (error) {
      // A refused value must not be stored with the next change.
      nv.store({ values }).catch(() => {});
      throw error;
    }
    return undefined;
  }

  /** Service 2F, ISO 14229-1 13.2.4: identifier and parameter (31), length (13), then the value itself. */
  control(bytes: Uint8Array, nowMs: number): Reply {
    const request = inputOutputControl.decodeRequest(bytes);
    if (typeof request === 'number') return { nrc: request };
    const { did, parameter, data } = request;
    const described = this.#controllable.get(did);
    if (described === undefined) return { nrc: Nrc.requestOutOfRange };
    // Each identifier has one parameter, so there is no enable mask.
    const expected = parameter === ControlParameter.shortTermAdjustment ? described.bytes : 0;
    if (data.length !== expected) return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
    const state = this.#stateAt(nowMs);
    if (parameter === ControlParameter.returnControlToEcu) {
      this.#held.delete(did);
    } else {
      const wanted =
        parameter === ControlParameter.shortTermAdjustment
          ? bytesToUint(data)
          : parameter === ControlParameter.resetToDefault
            ? described.usual
            : state.value(did);
      const against = described.refuses(wanted, state);
      if (against !== undefined) return { nrc: against };
      this.#held.set(did, wanted);
    }
    const now = uintToBytes(state.value(did), described.bytes);
    return { positive: inputOutputControl.encodeResponse(did, parameter, now) };
  }

  /** Releases all outputs at the end of the session in which they were taken over. */
  release(): void {
    this.#held.clear();
  }

  /** The cyclic frames of the application, with their present data. */
  frames(): CyclicFrame[] {
    return this.#device.profile.traffic.map((frame) => ({
      ...frame,
      data: (upMs, count) => frame.data(upMs, count, this.#stateAt(this.#clock.nowMs())),
    }));
  }

  routines(): Readonly<Record<number, RoutineRule>> {
    const { routines = [] } = this.#device.profile;
    if (!this.#runs) return {};
    return Object.fromEntries(routines.map((each) => [each.routine, this.#rule(each)]));
  }

  #rule(described: ApplicationRoutine): RoutineRule {
    const { routine } = described;
    return {
      sessions: [Session.extended],
      access: 'authority',
      start: (record) =>
        record.length > 0
          ? { nrc: Nrc.incorrectMessageLengthOrInvalidFormat }
          : this.#run(described),
      results: (record) =>
        record.length > 0
          ? { nrc: Nrc.incorrectMessageLengthOrInvalidFormat }
          : (this.#results.get(routine) ??
            concatBytes(Uint8Array.of(RunStatus.notRun), counter(this.#runsOf(routine)))),
    };
  }

  /**
   * Runs a routine. The run is counted durably before it begins, so that a tester without the answer can read the
   * counter.
   */
  async #run(described: ApplicationRoutine): Promise<RoutineOutcome> {
    const { routine, takesMs } = described;
    const { nv } = this.#device;
    const against = described.refuses(this.#stateAt(this.#clock.nowMs()));
    if (against !== undefined) return { nrc: against };
    const run = this.#runsOf(routine) + 1;
    const { runs } = nv.content;
    try {
      await nv.store({ runs: { ...runs, [key(routine)]: run } });
    } catch (error) {
      nv.store({ runs }).catch(() => {});
      throw error;
    }
    await sleep(this.#clock, 'routine', takesMs);
    const results = concatBytes(
      Uint8Array.of(RunStatus.done),
      counter(run),
      described.findings(run, this.#stateAt(this.#clock.nowMs())),
    );
    this.#results.set(routine, results);
    return results;
  }

  #runsOf(routine: number): number {
    return this.#device.nv.content.runs[key(routine)] ?? 0;
  }

  #stateAt(nowMs: number): ApplicationState {
    const { running, faults } = this.#device;
    const state: ApplicationState = {
      upMs: nowMs - running.sinceMs,
      hot: faults.hot === true,
      value: (did) => this.#valueOf(did, state),
    };
    return state;
  }

  #valueOf(did: number, state: ApplicationState): number {
    const writable = this.#writable.get(did);
    if (writable !== undefined) {
      const stored = this.#device.nv.content.values[key(did)];
      return stored === undefined ? writable.initial : bytesToUint(fromHex(stored));
    }
    const controllable = this.#controllable.get(did);
    if (controllable === undefined) return 0;
    const held = this.#held.get(did);
    // A value that may no longer be set is also dropped.
    return held === undefined || controllable.refuses(held, state) !== undefined
      ? controllable.own(state)
      : held;
  }
}

function key(identifier: number): string {
  return toHex(uintToBytes(identifier, 2));
}

function counter(runs: number): Uint8Array {
  return uintToBytes(runs, COUNTER_BYTES);
}
