// The evidence in an ECU that a command has run: the value that it holds, or how often its routine has run.

import type { Arguments } from '../contract/command.ts';
import { bytesToUint, toHex } from '../core/bytes.ts';
import { present } from '../core/present.ts';
import { Nrc } from '../uds/nrc.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { type CommandAct, placeArguments } from '../vehicle/commands.ts';
import type { EcuCommand } from '../vehicle/schema.ts';
import { signalText } from '../vehicle/signals.ts';
import { type DidReader, dataText } from './ecu-services-read.ts';
import type { Exchange, Exchanged } from './exchange.ts';

/** One order as bytes. */
export interface EcuOrder {
  /** Name of the command in the vehicle file. */
  readonly action: string;
  readonly command: EcuCommand;
  readonly act: CommandAct;
  readonly arguments: Arguments;
  /** The encoded arguments. */
  readonly bytes: Uint8Array;
}

type RoutineAct = Extract<CommandAct, { kind: 'routine' }>;

/** Mark of a routine that has no results yet. */
const NO_RUN = 'run none';

/** Whether the ECU can show that the command has run. */
export function tells(act: CommandAct): boolean {
  return act.kind === 'routine' ? act.counter !== undefined : act.readBack;
}

/**
 * Whether the command has run. Write and adjust: the ECU holds the wanted value; if it held that value before, running
 * the command would have changed nothing. Return of an output: its value has changed since `before`, which a held
 * output does not. Routine: its counter has changed.
 */
export function showsRun({ act, bytes }: EcuOrder, before: string, now: string): boolean {
  switch (act.kind) {
    case 'write':
    case 'adjust':
      return now === toHex(bytes);
    case 'return':
      return now !== before;
    case 'routine':
      return now !== before && now !== NO_RUN;
  }
}

export class Evidence {
  readonly #exchange: Exchange;
  readonly #reader: DidReader;

  constructor(exchange: Exchange, reader: DidReader) {
    this.#exchange = exchange;
    this.#reader = reader;
  }

  /** The present mark of an act that `tells`. The mark of a routine is read in the session of its command. */
  async mark(act: CommandAct, signal: AbortSignal): Promise<Exchanged<string>> {
    if (act.kind === 'routine') return this.#runs(act, signal);
    const data = await this.#reader.one(act.did, signal);
    return data.ok ? { ok: true, value: toHex(data.value) } : data;
  }

  /** Requests the results of a routine (31 03). */
  async results(routine: number, signal: AbortSignal): Promise<Exchanged<Uint8Array>> {
    const request = routineControl.encodeRequest(
      routineControl.RoutineControlType.requestRoutineResults,
      routine,
    );
    const doing = 'asking for the results of its routine';
    const decode = routineControl.decodeResponse;
    const answer = await this.#exchange.askFor(request, doing, decode, signal);
    return answer.ok ? { ok: true, value: answer.value.data } : answer;
  }

  /** What was done, as text: the value that the ECU reports, or else the arguments of the order. */
  async resultText(
    { act, command, arguments: given }: EcuOrder,
    answer: Uint8Array,
    signal: AbortSignal,
  ): Promise<string> {
    const { ecu } = this.#exchange;
    const asked = placeArguments(command)
      .map(
        ({ name, ...argument }) =>
          `${name} ${signalText(argument, present(given[name], `argument ${name}`))}`,
      )
      .join(', ');
    switch (act.kind) {
      case 'write': {
        const now = act.readBack ? await this.#reader.one(act.did, signal) : undefined;
        return (now?.ok ? dataText(ecu, act.did, now.value) : undefined) ?? asked;
      }
      case 'adjust':
      case 'return':
        // 6F, the DID and the parameter; then the state, where the ECU reports it.
        return dataText(ecu, act.did, answer.subarray(4)) ?? asked;
      case 'routine': {
        const runs = act.counter === undefined ? undefined : await this.#runs(act, signal);
        return runs?.ok ? runs.value : asked;
      }
    }
  }

  /** The counter of the routine as text: `run 3`. */
  async #runs({ routine, counter }: RoutineAct, signal: AbortSignal): Promise<Exchanged<string>> {
    const { offset, length } = present(counter, 'the counter of the routine');
    const results = await this.results(routine, signal);
    // 24: the routine was not started yet.
    if (!results.ok && results.nrc === Nrc.requestSequenceError) return { ok: true, value: NO_RUN };
    if (!results.ok) return results;
    const data = results.value;
    if (data.length >= offset + length) {
      return { ok: true, value: `run ${bytesToUint(data.subarray(offset, offset + length))}` };
    }
    return this.#exchange.malformed(
      Uint8Array.of(0x31),
      'asking how often its routine has run',
      `the results have ${data.length} bytes, the counter in the vehicle file needs ${offset + length}`,
    );
  }
}
