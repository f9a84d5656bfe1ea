// What an ECU shows of a command: the value that it holds, or how often its routine has run.

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

/** One order, as bytes. */
export interface EcuOrder {
  /** Its name in the vehicle file. */
  readonly action: string;
  readonly command: EcuCommand;
  readonly act: CommandAct;
  readonly arguments: Arguments;
  /** The arguments as the ECU gets them. */
  readonly bytes: Uint8Array;
}

type RoutineAct = Extract<CommandAct, { kind: 'routine' }>;

/** Of a routine that has no results yet. */
const NO_RUN = 'run none';

/** Whether anything in the ECU shows that the command has run. */
export function tells(act: CommandAct): boolean {
  return act.kind === 'routine' ? act.counter !== undefined : act.readBack;
}

/**
 * Written and adjusted: the ECU holds the wanted value. It may have held it before, and then running the command again
 * would have been the same: nobody can tell, nobody needs to. Given back: the output has moved since `before`, which
 * one that is held does not. Routine: its counter has moved.
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

  /** What the ECU shows now, of an act that `tells`; of a routine in the session of its command. */
  async mark(act: CommandAct, signal: AbortSignal): Promise<Exchanged<string>> {
    if (act.kind === 'routine') return this.#runs(act, signal);
    const data = await this.#reader.one(act.did, signal);
    return data.ok ? { ok: true, value: toHex(data.value) } : data;
  }

  /** The results of a routine (31 03). */
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

  /** What was done, in words: as the ECU says, or as it was asked where it does not say. */
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
        // 6F, the DID, the parameter; the state follows where the ECU tells it.
        return dataText(ecu, act.did, answer.subarray(4)) ?? asked;
      case 'routine': {
        const runs = act.counter === undefined ? undefined : await this.#runs(act, signal);
        return runs?.ok ? runs.value : asked;
      }
    }
  }

  /** `run 3` */
  async #runs({ routine, counter }: RoutineAct, signal: AbortSignal): Promise<Exchanged<string>> {
    const { offset, length } = present(counter, 'the counter of the routine');
    const results = await this.results(routine, signal);
    // 24: nothing has been started yet.
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
