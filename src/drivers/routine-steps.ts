// The erase and the memory check of a programming sequence, with the arguments that the vehicle file describes.

import { fromHex, hexNumber, uintToBytes } from '../core/bytes.ts';
import { encodeAddressAndLength } from '../uds/memory-transfer.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { fillTemplate, usesName } from '../vehicle/byte-template.ts';
import {
  type EcuProgramming,
  type ProgrammingStepPolicy,
  RANGE,
  type RoutineStatus,
} from '../vehicle/programming-schema.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import type { Layout, MemoryRange, SentDigests } from './layout.ts';

export interface StepBase {
  readonly name: string;
  /** Completes "while ..." in messages. */
  readonly doing: string;
  /** Policy of the step; steps with `skip` are not in the list. */
  readonly policy: Exclude<ProgrammingStepPolicy, 'skip'>;
}

/** Starts a routine, and waits until its status record says that it is done (where it answers one). */
export interface RoutineStep extends StepBase {
  readonly kind: 'routine';
  readonly routine: number;
  readonly option: RoutineOption;
  readonly status: RoutineStatus;
}

/** Makes the option of a routine, which may contain the CRC-32 of the sent data: it is known only after the transfer. */
type RoutineOption = (sent: { readonly crc32: number }) => RoutineArguments;
type RoutineArguments = ReturnType<typeof fillTemplate>;

export interface CheckStep extends RoutineStep {
  /** The same routine for one range. */
  forRange(range: MemoryRange): RoutineStep;
}

/** What both depend on. */
interface RangedInput {
  readonly ecu: VehicleEcu;
  /** Of what is sent. */
  readonly digests: SentDigests;
  /** The memory ranges of the image. */
  readonly layout: Layout;
}

/** One erase for each range of the layout; none where the vehicle file skips the step. */
export function eraseSteps({ ecu, layout }: RangedInput): RoutineStep[] {
  const { erase, eraseRoutine, eraseArguments, eraseStatus } = ecu.programming;
  if (erase === 'skip') return [];
  const depends = eraseArguments === 'address-length' || usesName(eraseArguments, RANGE.numbers);
  // Without the range among its arguments, one request erases all that it erases.
  const ranges = depends ? layout.erase : layout.erase.slice(0, 1);
  return ranges.map((range) => ({
    kind: 'routine',
    name: 'erase',
    doing:
      ranges.length === 1 ? 'erasing the bank' : `erasing from ${hexNumber(range.address, 8)} on`,
    policy: erase,
    routine: eraseRoutine,
    option: () => eraseOption(ecu, range),
    status: eraseStatus,
  }));
}

function eraseOption({ programming }: VehicleEcu, range: MemoryRange): RoutineArguments {
  const { eraseArguments, addressBytes, sizeBytes } = programming;
  switch (eraseArguments) {
    case 'none':
      return new Uint8Array();
    case 'address-length':
      return encodeAddressAndLength({ ...range, addressBytes, sizeBytes });
    default:
      return fillTemplate(eraseArguments, { numbers: rangeNumbers(range), bytes: {} });
  }
}

function rangeNumbers({ address, size }: MemoryRange) {
  return { address, size, end: address + size - 1 };
}

/** The memory check; undefined where the vehicle file skips it. */
export function checkStep({ ecu, digests, layout }: RangedInput): CheckStep | undefined {
  const { checkMemory, checkMemoryRoutine, checkMemoryStatus } = ecu.programming;
  if (checkMemory === 'skip') return undefined;
  const stepFor = (range: MemoryRange, sha256: string): RoutineStep => ({
    kind: 'routine',
    name: 'check memory',
    doing: 'having the image checked',
    policy: checkMemory,
    routine: checkMemoryRoutine,
    option: ({ crc32 }) => checkOption(ecu.programming, sha256, range, crc32),
    status: checkMemoryStatus,
  });
  const first = layout.ranges[0]?.address ?? ecu.memory.address;
  const size = layout.ranges.reduce((sum, range) => sum + range.size, 0);
  const whole = { address: first, size };
  return {
    ...stepFor(whole, digests.whole),
    forRange: (range) => stepFor(range, digests.each.get(range.address) ?? digests.whole),
  };
}

function checkOption(
  { checkMemoryArgument }: EcuProgramming,
  sha256: string,
  range: MemoryRange,
  crc32: number,
): RoutineArguments {
  switch (checkMemoryArgument) {
    case 'sha256':
      return fromHex(sha256);
    case 'crc32':
      return uintToBytes(crc32, 4);
    case 'none':
      return new Uint8Array();
    default:
      return fillTemplate(checkMemoryArgument, {
        numbers: { ...rangeNumbers(range), crc32 },
        bytes: { sha256: fromHex(sha256) },
      });
  }
}

/** The request that starts a routine; a problem where a number of the ECU has no room in its template. */
export function startRoutine(
  step: RoutineStep,
  sent: { readonly crc32: number },
): Uint8Array | { readonly problem: string } {
  const option = step.option(sent);
  if ('problem' in option) return option;
  return routineControl.encodeRequest(
    routineControl.RoutineControlType.startRoutine,
    step.routine,
    option,
  );
}
