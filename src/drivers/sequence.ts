// The programming sequence of an ECU as data: ISO 14229-1 clause 16, steps and their policy from the vehicle file.

import { hexNumber, toHex } from '../core/bytes.ts';
import type { CalledProgram } from '../image/called-program.ts';
import { FIRST_IMAGE_FILE } from '../uds/first-image.ts';
import * as communicationControl from '../uds/services/communication-control.ts';
import * as controlDtcSetting from '../uds/services/control-dtc-setting.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
import * as writeDataByIdentifier from '../uds/services/write-data-by-identifier.ts';
import { Session } from '../uds/sid.ts';
import { fillTemplate } from '../vehicle/byte-template.ts';
import type {
  EcuProgramming,
  ProgrammingStepPolicy,
  StepName,
} from '../vehicle/programming-schema.ts';
import type { VehicleEcu } from '../vehicle/schema.ts';
import { dateBytes, fingerprintOf, TESTER_NAME } from './fingerprint.ts';
import type { Layout, SentDigests } from './layout.ts';
import {
  type CheckStep,
  checkStep,
  eraseSteps,
  type RoutineStep,
  type StepBase,
} from './routine-steps.ts';

export type ProgrammingStep =
  /** A request that only needs a positive response. */
  | (StepBase & { readonly kind: 'request'; readonly request: Uint8Array })
  /** Switches trouble codes and normal traffic of all ECUs off, by functional requests. */
  | (StepBase & { readonly kind: 'silence' })
  | RoutineStep
  | (StepBase & { readonly kind: 'security' })
  /** Downloads a program into RAM and starts it. */
  | (StepBase & { readonly kind: 'boot-loader'; readonly program: CalledProgram })
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

export interface SequenceInput {
  readonly ecu: VehicleEcu;
  /** Of what is sent, for the memory check. */
  readonly digests: SentDigests;
  /** The memory ranges of the image. */
  readonly layout: Layout;
  /** The metadata bundle that the ECU verifies; undefined: the step is left out. */
  readonly metadata: Uint8Array | undefined;
  /** `first-image.json` of the factory, which replaces the bundle. */
  readonly firstImage?: Uint8Array | undefined;
  /** For an ECU that is programmed by a program in its RAM. */
  readonly secondBootLoader?: CalledProgram | undefined;
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
