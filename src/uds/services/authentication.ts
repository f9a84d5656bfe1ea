// Authentication (29), ISO 14229-1:2020 10.6: both concepts, certificates (APCE) and challenge-response (ACR).

import { byteAt, concatBytes } from '../../core/bytes.ts';
import {
  checkedByte,
  field16,
  joinSubFunction,
  type Malformed,
  malformed,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { nameIn } from '../words.ts';

const SID = 0x29;

/** Table 72: authenticationTask. */
export const AuthenticationTask = {
  deAuthenticate: 0x00,
  verifyCertificateUnidirectional: 0x01,
  verifyCertificateBidirectional: 0x02,
  proofOfOwnership: 0x03,
  transmitCertificate: 0x04,
  requestChallengeForAuthentication: 0x05,
  verifyProofOfOwnershipUnidirectional: 0x06,
  verifyProofOfOwnershipBidirectional: 0x07,
  authenticationConfiguration: 0x08,
} as const;
export type Task = keyof typeof AuthenticationTask;

/** Annex B.5: authenticationReturnParameter. */
export const AuthenticationReturn = {
  requestAccepted: 0x00,
  generalReject: 0x01,
  configurationApce: 0x02,
  configurationAcrAsymmetric: 0x03,
  configurationAcrSymmetric: 0x04,
  deAuthenticationSuccessful: 0x10,
  certificateVerifiedOwnershipVerificationNecessary: 0x11,
  ownershipVerifiedAuthenticationComplete: 0x12,
  certificateVerified: 0x13,
} as const;

/**
 * One field of a message: `u8` and `u16` are numbers, `algorithm` the 16 bytes of algorithmIndicator (an object
 * identifier, padded), `bytes` a 16-bit length and that many bytes, `some` the same with at least one byte.
 */
type Kind = 'u8' | 'u16' | 'algorithm' | 'bytes' | 'some';
type Layout = readonly (readonly [name: string, kind: Kind])[];

/** Length of algorithmIndicator in every message that has one. */
export const ALGORITHM_INDICATOR_LENGTH = 16;

/** Fields of requests, tables 74 to 79. */
const REQUESTS = {
  deAuthenticate: [],
  verifyCertificateUnidirectional: [
    ['communicationConfiguration', 'u8'],
    ['certificateClient', 'some'],
    ['challengeClient', 'bytes'],
  ],
  verifyCertificateBidirectional: [
    ['communicationConfiguration', 'u8'],
    ['certificateClient', 'some'],
    ['challengeClient', 'some'],
  ],
  proofOfOwnership: [
    ['proofOfOwnershipClient', 'some'],
    ['ephemeralPublicKeyClient', 'bytes'],
  ],
  transmitCertificate: [
    ['certificateEvaluationId', 'u16'],
    ['certificateData', 'some'],
  ],
  requestChallengeForAuthentication: [
    ['communicationConfiguration', 'u8'],
    ['algorithmIndicator', 'algorithm'],
  ],
  verifyProofOfOwnershipUnidirectional: [
    ['algorithmIndicator', 'algorithm'],
    ['proofOfOwnershipClient', 'some'],
    ['challengeClient', 'bytes'],
    ['additionalParameter', 'bytes'],
  ],
  verifyProofOfOwnershipBidirectional: [
    ['algorithmIndicator', 'algorithm'],
    ['proofOfOwnershipClient', 'some'],
    ['challengeClient', 'some'],
    ['additionalParameter', 'bytes'],
  ],
  authenticationConfiguration: [],
} as const satisfies Record<Task, Layout>;

/** Fields of responses, tables 81 to 87; authenticationReturnParameter comes before all of them. */
const RESPONSES = {
  deAuthenticate: [],
  verifyCertificateUnidirectional: [
    ['challengeServer', 'some'],
    ['ephemeralPublicKeyServer', 'bytes'],
  ],
  verifyCertificateBidirectional: [
    ['challengeServer', 'some'],
    ['certificateServer', 'some'],
    ['proofOfOwnershipServer', 'some'],
    ['ephemeralPublicKeyServer', 'bytes'],
  ],
  proofOfOwnership: [['sessionKeyInfo', 'bytes']],
  transmitCertificate: [],
  requestChallengeForAuthentication: [
    ['algorithmIndicator', 'algorithm'],
    ['challengeServer', 'some'],
    ['neededAdditionalParameter', 'bytes'],
  ],
  verifyProofOfOwnershipUnidirectional: [
    ['algorithmIndicator', 'algorithm'],
    ['sessionKeyInfo', 'bytes'],
  ],
  verifyProofOfOwnershipBidirectional: [
    ['algorithmIndicator', 'algorithm'],
    ['proofOfOwnershipServer', 'some'],
    ['sessionKeyInfo', 'bytes'],
  ],
  authenticationConfiguration: [],
} as const satisfies Record<Task, Layout>;

type Fields<L extends Layout> = {
  readonly [Field in L[number] as Field[0]]: Field[1] extends 'u8' | 'u16' ? number : Uint8Array;
};

/** A request by `task`; the fields have the names of the standard. */
export type Request = {
  [T in Task]: { readonly task: T; readonly suppress: boolean } & Fields<(typeof REQUESTS)[T]>;
}[Task];

export type Response = {
  [T in Task]: { readonly task: T; readonly returnParameter: number } & Fields<
    (typeof RESPONSES)[T]
  >;
}[Task];

const TASKS = new Map<number, Task>(
  Object.entries(AuthenticationTask).map(([name, code]) => [code, name as Task]),
);

/** `29 <task> <fields>`; throws RangeError for a field of the wrong size. */
export function encodeRequest(request: Request): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID, joinSubFunction(AuthenticationTask[request.task], request.suppress)),
    encodeFields(REQUESTS[request.task], { ...request }),
  );
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  const task = TASKS.get(subFunction);
  if (task === undefined) return Nrc.subFunctionNotSupported;
  const fields = decodeFields(REQUESTS[task], new Reader(bytes, 2));
  if (fields === undefined) return Nrc.incorrectMessageLengthOrInvalidFormat;
  return { task, suppress, ...fields } as Request;
}

/** `69 <task> <authenticationReturnParameter> <fields>` */
export function encodeResponse(response: Response): Uint8Array {
  return concatBytes(
    Uint8Array.of(
      SID + POSITIVE_RESPONSE_OFFSET,
      AuthenticationTask[response.task],
      checkedByte(response.returnParameter, 'authenticationReturnParameter'),
    ),
    encodeFields(RESPONSES[response.task], { ...response }),
  );
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  const problem = responseProblem(bytes, SID, 3);
  if (problem !== undefined) return problem;
  const task = TASKS.get(byteAt(bytes, 1));
  if (task === undefined) return malformed(`authenticationTask ${bytes[1]} is reserved`);
  const fields = decodeFields(RESPONSES[task], new Reader(bytes, 3));
  if (fields === undefined)
    return malformed(`the fields of ${task} do not fit ${bytes.length} bytes`);
  return { task, returnParameter: byteAt(bytes, 2), ...fields } as Response;
}

function encodeFields(layout: Layout, values: Readonly<Record<string, unknown>>): Uint8Array {
  return concatBytes(
    ...layout.map(([name, kind]) => {
      const value = values[name];
      if (kind === 'u8') return Uint8Array.of(checkedByte(value as number, name));
      if (kind === 'u16') {
        const number = value as number;
        if (!Number.isInteger(number) || number < 0 || number > 0xffff) {
          throw new RangeError(`${name} ${number} does not fit into 2 bytes`);
        }
        return Uint8Array.of(number >> 8, number & 0xff);
      }
      const bytes = value as Uint8Array;
      if (kind === 'algorithm') {
        if (bytes.length !== ALGORITHM_INDICATOR_LENGTH) {
          throw new RangeError(
            `${name}: ${bytes.length} bytes, expected ${ALGORITHM_INDICATOR_LENGTH}`,
          );
        }
        return bytes;
      }
      if (kind === 'some' && bytes.length === 0) throw new RangeError(`${name} must not be empty`);
      return field16(bytes);
    }),
  );
}

/** Undefined when a field is missing or wrongly empty, or when bytes are left over. */
function decodeFields(
  layout: Layout,
  reader: Reader,
): Record<string, number | Uint8Array> | undefined {
  const fields: Record<string, number | Uint8Array> = {};
  for (const [name, kind] of layout) {
    if (kind === 'u8' || kind === 'u16') {
      fields[name] = reader.uint(kind === 'u8' ? 1 : 2);
      continue;
    }
    const bytes = kind === 'algorithm' ? reader.take(ALGORITHM_INDICATOR_LENGTH) : reader.field16();
    if (kind === 'some' && bytes.length === 0) return undefined;
    fields[name] = bytes;
  }
  return reader.exact ? fields : undefined;
}

export const row = serviceRow({
  name: 'authentication',
  sid: SID,
  subFunctions: AuthenticationTask,
  echoed: 1,
  request: (_message, subFunction) => nameIn(AuthenticationTask, subFunction),
  response(message, subFunction) {
    const known = Object.values<number | undefined>(AuthenticationReturn).includes(message[2]);
    const result = known ? nameIn(AuthenticationReturn, message[2] ?? 0) : '';
    return `${nameIn(AuthenticationTask, subFunction)} ${result}`.trim();
  },
});
