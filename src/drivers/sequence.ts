// The programming sequence of an ECU as data: ISO 14229-1 clause 16, steps and their policy from the vehicle file.

import { fromHex, hexNumber, toHex, uintToBytes } from '../core/bytes.ts';
import { FIRST_IMAGE_FILE } from '../uds/first-image.ts';
import { encodeAddressAndLength } from '../uds/memory-transfer.ts';
import * as communicationControl from '../uds/services/communication-control.ts';
import * as controlDtcSetting from '../uds/services/control-dtc-setting.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as requestDownload from '../uds/services/request-download.ts';
import * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
import { Session } from '../uds/sid.ts';
import { fillTemplate, usesName } from '../vehicle/byte-template.ts';
import {
  type EcuProgramming,
  type ProgrammingStepPolicy,
  RANGE,
  type RoutineStatus,
  type StepName,
} from '../vehicle/programming-schema.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { dateBytes, fingerprintOf, TESTER_NAME } from './fingerprint.ts';
import type { Layout, MemoryRange } from './layout.ts';
import type { SecondBootLoader } from './second-boot-loader.ts';

interface StepBase {
  readonly name: string;
  /** Completes "while ..." in messages. */
  readonly doing: string;
  /** Policy of the step; steps with `skip` are not in the list. */
  readonly policy: Exclude<ProgrammingStepPolicy, 'skip'>;
}

export type ProgrammingStep =
  /** A request that only needs a positive response. */
  | (StepBase & { readonly kind: 'request'; readonly request: Uint8Array })
  /** Switches trouble codes and normal traffic of all ECUs off, by functional requests. */
  | (StepBase & { readonly kind: 'silence' })
  | RoutineStep
  | (StepBase & { readonly kind: 'security' })
  /** Downloads a program into RAM and starts it. */
  | (StepBase & { readonly kind: 'boot-loader'; readonly program: SecondBootLoader })
  | (StepBase & {
      readonly kind: 'metadata';
      readonly request: Uint8Array;
      readonly file: Uint8Array;
    })
  /** RequestDownload with erase and transfer; nothing is erased where the ECU holds the image or a part of it. */
  | (StepBase & {
      readonly kind: 'download';
      /** One step for each range of the layout. */
      readonly erase: readonly RoutineStep[];
      /** When the ECU needs the erase; some need it between 34 and the first 36. */
      readonly eraseWhen: EcuProgramming['eraseWhen'];
      /** The memory check, which is also the step after this one unless each range is checked. */
      readonly check: CheckStep | undefined;
    });

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

/** dataFormatIdentifier: no compression, encryptingMethod 1 (ISO 14229-1 table of 34). */
const ENCRYPTED = 0x01;

export interface SequenceInput {
  readonly ecu: VehicleEcu;
  /** Length and digest of the image that the ECU must hold in the end. */
  readonly image: { readonly length: number; readonly sha256: string };
  /** The memory ranges of the image. */
  readonly layout: Layout;
  /** The metadata bundle that the ECU verifies; undefined: the step is left out. */
  readonly metadata: Uint8Array | undefined;
  /** `first-image.json` of the factory, which replaces the bundle. */
  readonly firstImage?: Uint8Array | undefined;
  /** For an ECU that is programmed by a program in its RAM. */
  readonly secondBootLoader?: SecondBootLoader | undefined;
  /** Time of the programming, for fingerprints. */
  readonly wallMs: number;
}

/** All steps from the extended session to the memory check. Identification comes before them, restoring after them. */
export function programmingSequence(input: SequenceInput): ProgrammingStep[] {
  const { sequence } = input.ecu.programming;
  const steps: ProgrammingStep[] = [];
  const isQuiet = () => steps.some(({ kind }) => kind === 'silence');
  for (const entry of sequence) {
    const made =
      typeof entry === 'string' ? STEPS[entry](input) : [ownRequest(entry, input.wallMs)];
    // The bus becomes quiet before the first of the two requests that each ECU gets by itself as well.
    if (
      made.length > 0 &&
      (entry === 'controlDtcSetting' || entry === 'communicationControl') &&
      !isQuiet()
    ) {
      steps.push({
        kind: 'silence',
        name: 'bus silence',
        doing: 'making the bus quiet',
        policy: 'required',
      });
    }
    steps.push(...made);
  }
  return steps;
}

/** None where the vehicle file skips the step. */
const STEPS: Readonly<Record<StepName, (input: SequenceInput) => ProgrammingStep[]>> = {
  extendedSession: () => [
    {
      kind: 'request',
      name: 'extended session',
      doing: 'entering the extended session',
      policy: 'required',
      request: diagnosticSessionControl.encodeRequest(Session.extended),
    },
  ],
  controlDtcSetting: ({ ecu }) =>
    withPolicy(ecu.programming.controlDtcSetting, (policy) => ({
      kind: 'request',
      name: 'DTC setting off',
      doing: 'switching trouble codes off',
      policy,
      request: controlDtcSetting.encodeRequest(controlDtcSetting.DtcSetting.off),
    })),
  communicationControl: ({ ecu }) =>
    withPolicy(ecu.programming.communicationControl, (policy) => ({
      kind: 'request',
      name: 'normal communication off',
      doing: 'switching normal communication off',
      policy,
      request: communicationControl.encodeRequest(
        communicationControl.ControlType.enableRxAndDisableTx,
        communicationControl.CommunicationType.normal,
      ),
    })),
  preconditions: ({ ecu: { programming }, wallMs }) =>
    withPolicy(programming.preconditions, (policy) => ({
      kind: 'routine',
      name: 'preconditions',
      doing: 'checking the programming preconditions',
      policy,
      routine: programming.preconditionsRoutine,
      option: () => filled(programming.preconditionsArguments, wallMs),
      status: programming.preconditionsStatus,
    })),
  programmingSession: () => [
    {
      kind: 'request',
      name: 'programming session',
      doing: 'entering the programming session',
      policy: 'required',
      request: diagnosticSessionControl.encodeRequest(Session.programming),
    },
  ],
  security: ({ ecu }) =>
    ecu.security.algorithm === 'none'
      ? []
      : [
          {
            kind: 'security',
            name: 'security access',
            doing: 'unlocking for programming',
            policy: 'required',
          },
        ],
  fingerprint: ({ ecu: { programming }, wallMs }) =>
    withPolicy(programming.fingerprint, (policy) => ({
      kind: 'request',
      name: 'fingerprint',
      doing: `writing the fingerprint (${hexNumber(programming.fingerprintDid, 4).slice(2)})`,
      policy,
      request: writeDataByIdentifier.encodeRequest(
        programming.fingerprintDid,
        programming.fingerprintData === undefined
          ? fingerprintOf(wallMs)
          : filled(programming.fingerprintData, wallMs),
      ),
    })),
  metadata: ({ ecu, metadata, firstImage }) => [
    ...(metadata === undefined
      ? []
      : withPolicy(ecu.programming.metadata, (policy) =>
          fileStep('signed metadata', 'metadata.json', metadata, policy),
        )),
    ...(firstImage === undefined
      ? []
      : [fileStep('facts of its first image', FIRST_IMAGE_FILE, firstImage, 'required')]),
  ],
  secondBootLoader: ({ ecu, secondBootLoader }) =>
    secondBootLoader === undefined || ecu.programming.secondBootLoader === undefined
      ? []
      : [
          {
            kind: 'boot-loader',
            name: 'second boot loader',
            doing: 'starting its second boot loader',
            policy: 'required',
            program: secondBootLoader,
          },
        ],
  transfer: (input) => [
    {
      kind: 'download',
      name: 'transfer',
      doing: 'transferring the image',
      policy: 'required',
      erase: eraseSteps(input),
      eraseWhen: input.ecu.programming.eraseWhen,
      check: checkStep(input),
    },
  ],
  checkMemory: (input) => {
    const check = input.ecu.programming.checkMemoryWhen === 'once' ? checkStep(input) : undefined;
    return check === undefined ? [] : [check];
  },
  dependencies: ({ ecu: { programming }, wallMs }) =>
    withPolicy(programming.dependencies, (policy) => ({
      kind: 'routine',
      name: 'check dependencies',
      doing: 'having the dependencies checked',
      policy,
      routine: programming.dependenciesRoutine,
      option: () => filled(programming.dependenciesArguments, wallMs),
      status: programming.dependenciesStatus,
    })),
};

/** RequestDownload for `length` bytes from `address` on, of which the ECU holds the first `received`. */
export function downloadRequest(
  { programming }: VehicleEcu,
  { address, size }: MemoryRange,
  encrypted: boolean,
  received: number,
): Uint8Array {
  const { addressBytes, sizeBytes, dataFormat } = programming;
  return requestDownload.encodeRequest({
    address: address + received,
    // 14.2 (RequestDownload): memorySize is the size in the ECU, not the number of transferred bytes.
    size: size - received,
    addressBytes,
    sizeBytes,
    dataFormat: encrypted ? ENCRYPTED : dataFormat,
  });
}

function withPolicy<Step extends ProgrammingStep>(
  policy: ProgrammingStepPolicy,
  make: (policy: StepBase['policy']) => Step,
): Step[] {
  return policy === 'skip' ? [] : [make(policy)];
}

/** Templates whose names are all of a fixed length: they have room for what they name. */
function filled(template: string, wallMs: number): Uint8Array {
  const bytes = fillTemplate(template, {
    numbers: {},
    bytes: { date: dateBytes(wallMs), tester: TESTER_NAME },
  });
  if ('problem' in bytes) throw new RangeError(bytes.problem);
  return bytes;
}

function ownRequest(
  { send, policy }: Exclude<EcuProgramming['sequence'][number], string>,
  wallMs: number,
): ProgrammingStep {
  const request = filled(send, wallMs);
  const name = toHex(request.subarray(0, 4)).toUpperCase();
  return { kind: 'request', name, doing: `sending ${name}`, policy, request };
}

function eraseSteps({ ecu, layout }: SequenceInput): RoutineStep[] {
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

function checkStep({ ecu, image, layout }: SequenceInput): CheckStep | undefined {
  const { checkMemory, checkMemoryRoutine, checkMemoryStatus } = ecu.programming;
  if (checkMemory === 'skip') return undefined;
  const forRange = (range: MemoryRange): RoutineStep => ({
    kind: 'routine',
    name: 'check memory',
    doing: 'having the image checked',
    policy: checkMemory,
    routine: checkMemoryRoutine,
    option: ({ crc32 }) => checkOption(ecu.programming, image.sha256, range, crc32),
    status: checkMemoryStatus,
  });
  const first = layout.ranges[0]?.address ?? ecu.memory.address;
  const size = layout.ranges.reduce((sum, range) => sum + range.size, 0);
  const whole = { address: first, size };
  return { ...forRange(whole), forRange };
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

/** The step that sends a file which the bootloader verifies before it allows an erase. */
function fileStep(
  name: string,
  path: string,
  file: Uint8Array,
  policy: StepBase['policy'],
): Extract<ProgrammingStep, { kind: 'metadata' }> {
  return {
    kind: 'metadata',
    name,
    doing: `sending the ${name}`,
    policy,
    file,
    request: requestFileTransfer.encodeRequest({
      mode: 'addFile',
      path,
      dataFormat: 0,
      size: file.length,
      compressedSize: file.length,
    }),
  };
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
