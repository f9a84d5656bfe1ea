// ControlDTCSetting (85), ISO 14229-1 10.8.

import { byteAt, concatBytes } from '../../core/bytes.ts';
import {
  joinSubFunction,
  type Malformed,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { nameIn } from '../words.ts';

const SID = 0x85;

/** Table 128: DTCSettingType. */
export const DtcSetting = { on: 0x01, off: 0x02 } as const;

export interface Request {
  readonly setting: number;
  /** DTCSettingControlOptionRecord, for example the DTCs concerned. Often empty. */
  readonly data: Uint8Array;
  readonly suppress: boolean;
}

export interface Response {
  readonly setting: number;
}

/** `85 <01 on | 02 off> [record]` */
export function encodeRequest(
  setting: number,
  options: { readonly data?: Uint8Array; readonly suppress?: boolean } = {},
): Uint8Array {
  return concatBytes(
    Uint8Array.of(SID, joinSubFunction(setting, options.suppress)),
    options.data ?? new Uint8Array(),
  );
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const problem = requestProblem(bytes, SID, 2);
  if (problem !== undefined) return problem;
  const { subFunction, suppress } = splitSubFunction(byteAt(bytes, 1));
  return { setting: subFunction, data: bytes.subarray(2), suppress };
}

/** `C5 <setting>` */
export function encodeResponse(setting: number): Uint8Array {
  return Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, joinSubFunction(setting));
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return responseProblem(bytes, SID, 2, 2) ?? { setting: byteAt(bytes, 1) };
}

export const row = serviceRow({
  name: 'controlDtcSetting',
  sid: SID,
  subFunctions: DtcSetting,
  echoed: 1,
  request: (_message, subFunction) => nameIn(DtcSetting, subFunction),
  response: (_message, subFunction) => nameIn(DtcSetting, subFunction),
});
