// The programming sequence of an ECU as data: ISO 14229-1 clause 16, steps and their policy from the vehicle file.

import { concatBytes, fromHex, uintToBytes } from '../core/bytes.ts';
import { FIRST_IMAGE_FILE } from '../uds/first-image.ts';
import { encodeAddressAndLength } from '../uds/memory-transfer.ts';
import * as communicationControl from '../uds/services/communication-control.ts';
import * as controlDtcSetting from '../uds/services/control-dtc-setting.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as requestDownload from '../uds/services/request-download.ts';
import * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
import { Did, Session } from '../uds/sid.ts';
import type { EcuProgramming, ProgrammingStepPolicy, VehicleEcu } from '../vehicle/schema.ts';

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
  /** Starts a routine whose status byte must be 0 (where it answers one). */
  | (StepBase & {
      readonly kind: 'routine';
      readonly routine: number;
      readonly option: RoutineOption;
    })
  | (StepBase & { readonly kind: 'security' })
  | (StepBase & {
      readonly kind: 'metadata';
      readonly request: Uint8Array;
      readonly file: Uint8Array;
    })
  /** RequestDownload with erase and transfer; nothing is erased where the ECU holds the image or a part of it. */
  | (StepBase & {
      readonly kind: 'download';
      readonly erase: RoutineStep | undefined;
      /** When the ECU needs the erase; some need it between 34 and the first 36. */
      readonly eraseWhen: EcuProgramming['eraseWhen'];
      /** The memory check, which is also the step after this one. */
      readonly check: RoutineStep | undefined;
    });

export type RoutineStep = Extract<ProgrammingStep, { kind: 'routine' }>;

/** Option of a routine: known bytes, or the CRC-32 of the image, which is known only after the transfer. */
type RoutineOption =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'crc32' };

/** dataFormatIdentifier: no compression, encryptingMethod 1 (ISO 14229-1 table of 34). */
const ENCRYPTED = 0x01;

export interface SequenceInput {
  readonly ecu: VehicleEcu;
  /** Length and digest of the image that the ECU must hold in the end. */
  readonly image: { readonly length: number; readonly sha256: string };
  /** The metadata bundle that the ECU verifies; undefined: the step is left out. */
  readonly metadata: Uint8Array | undefined;
  /** `first-image.json` of the factory, which replaces the bundle. */
  readonly firstImage?: Uint8Array | undefined;
  /** Data of DID F15A, see fingerprint.ts. */
  readonly fingerprint: Uint8Array;
}

/** All steps from the extended session to the memory check. Identification comes before them, restoring after them. */
export function programmingSequence(input: SequenceInput): ProgrammingStep[] {
  const { ecu, image, metadata } = input;
  const profile = ecu.programming;
  const check = withPolicy(profile.checkMemory, (policy) =>
    routine(
      'check memory',
      'having the image checked',
      policy,
      profile.checkMemoryRoutine,
      checkArgument(profile, image.sha256),
    ),
  );
  const steps: (ProgrammingStep | undefined)[] = [
    {
      kind: 'request',
      name: 'extended session',
      doing: 'entering the extended session',
      policy: 'required',
      request: diagnosticSessionControl.encodeRequest(Session.extended),
    },
    profile.controlDtcSetting === 'skip' && profile.communicationControl === 'skip'
      ? undefined
      : {
          kind: 'silence',
          name: 'bus silence',
          doing: 'making the bus quiet',
          policy: 'required',
        },
    withPolicy(profile.controlDtcSetting, (policy) => ({
      kind: 'request',
      name: 'DTC setting off',
      doing: 'switching trouble codes off',
      policy,
      request: controlDtcSetting.encodeRequest(controlDtcSetting.DtcSetting.off),
    })),
    withPolicy(profile.communicationControl, (policy) => ({
      kind: 'request',
      name: 'normal communication off',
      doing: 'switching normal communication off',
      policy,
      request: communicationControl.encodeRequest(
        communicationControl.ControlType.enableRxAndDisableTx,
        communicationControl.CommunicationType.normal,
      ),
    })),
    withPolicy(profile.preconditions, (policy) =>
      routine(
        'preconditions',
        'checking the programming preconditions',
        policy,
        profile.preconditionsRoutine,
      ),
    ),
    {
      kind: 'request',
      name: 'programming session',
      doing: 'entering the programming session',
      policy: 'required',
      request: diagnosticSessionControl.encodeRequest(Session.programming),
    },
    ecu.security.algorithm === 'none'
      ? undefined
      : {
          kind: 'security',
          name: 'security access',
          doing: 'unlocking for programming',
          policy: 'required',
        },
    withPolicy(profile.fingerprint, (policy) => ({
      kind: 'request',
      name: 'fingerprint',
      doing: 'writing the fingerprint (F15A)',
      policy,
      request: writeDataByIdentifier.encodeRequest(
        Did.applicationSoftwareFingerprint,
        input.fingerprint,
      ),
    })),
    metadata === undefined
      ? undefined
      : withPolicy(profile.metadata, (policy) =>
          fileStep('signed metadata', 'metadata.json', metadata, policy),
        ),
    input.firstImage === undefined
      ? undefined
      : fileStep('facts of its first image', FIRST_IMAGE_FILE, input.firstImage, 'required'),
    {
      kind: 'download',
      name: 'transfer',
      doing: 'transferring the image',
      policy: 'required',
      erase: eraseStep(ecu, image.length),
      eraseWhen: profile.eraseWhen,
      check,
    },
    check,
    withPolicy(profile.dependencies, (policy) =>
      routine(
        'check dependencies',
        'having the dependencies checked',
        policy,
        profile.dependenciesRoutine,
      ),
    ),
  ];
  return steps.filter((step) => step !== undefined);
}

/** RequestDownload for an image of `length` bytes of which the ECU holds the first `received`. */
export function downloadRequest(
  ecu: VehicleEcu,
  length: number,
  encrypted: boolean,
  received: number,
): Uint8Array {
  return requestDownload.encodeRequest({
    address: ecu.memory.address + received,
    // 14.2 (RequestDownload): memorySize is the size in the ECU, not the number of transferred bytes.
    size: length - received,
    ...(encrypted ? { dataFormat: ENCRYPTED } : {}),
  });
}

function withPolicy<Step extends ProgrammingStep>(
  policy: ProgrammingStepPolicy,
  make: (policy: StepBase['policy']) => Step,
): Step | undefined {
  return policy === 'skip' ? undefined : make(policy);
}

function routine(
  name: string,
  doing: string,
  policy: StepBase['policy'],
  id: number,
  option: RoutineOption = { kind: 'bytes', bytes: new Uint8Array() },
): RoutineStep {
  return { kind: 'routine', name, doing, policy, routine: id, option };
}

function eraseStep(ecu: VehicleEcu, length: number): RoutineStep | undefined {
  const { erase, eraseRoutine, eraseArguments } = ecu.programming;
  if (erase === 'skip') return undefined;
  const bytes =
    eraseArguments === 'none'
      ? new Uint8Array()
      : encodeAddressAndLength({ address: ecu.memory.address, size: length });
  return routine('erase', 'erasing the bank', erase, eraseRoutine, { kind: 'bytes', bytes });
}

function checkArgument(profile: EcuProgramming, sha256: string): RoutineOption {
  switch (profile.checkMemoryArgument) {
    case 'sha256':
      return { kind: 'bytes', bytes: fromHex(sha256) };
    case 'crc32':
      return { kind: 'crc32' };
    case 'none':
      return { kind: 'bytes', bytes: new Uint8Array() };
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

/** The request that starts a routine. */
export function startRoutine(step: RoutineStep, imageCrc32: number): Uint8Array {
  const option = step.option.kind === 'crc32' ? uintToBytes(imageCrc32, 4) : step.option.bytes;
  return routineControl.encodeRequest(
    routineControl.RoutineControlType.startRoutine,
    step.routine,
    concatBytes(option),
  );
}
