// CommunicationControl (28), ISO 14229-1 10.5.

import { byteAt, concatBytes, uintToBytes } from '../../core/bytes.ts';
import {
  checkedByte,
  joinSubFunction,
  type Malformed,
  Reader,
  requestProblem,
  responseProblem,
  splitSubFunction,
} from '../codec.ts';
import type { Nrc } from '../nrc.ts';
import { serviceRow } from '../service-row.ts';
import { POSITIVE_RESPONSE_OFFSET } from '../sid.ts';
import { nameIn } from '../words.ts';

const SID = 0x28;

/** Table 54: controlType. The last two address a node behind the server. */
export const ControlType = {
  enableRxAndTx: 0x00,
  enableRxAndDisableTx: 0x01,
  disableRxAndEnableTx: 0x02,
  disableRxAndTx: 0x03,
  enableRxAndDisableTxWithEnhancedAddressInformation: 0x04,
  enableRxAndTxWithEnhancedAddressInformation: 0x05,
} as const;

/** Annex B.1: bits 0 and 1 of communicationType; the upper nibble is the subnet, 0 means all of this node. */
export const CommunicationType = {
  normal: 0x01,
  networkManagement: 0x02,
  normalAndNetworkManagement: 0x03,
} as const;

export interface Request {
  readonly control: number;
  readonly type: number;
  /** nodeIdentificationNumber, with the two enhanced control types only. */
  readonly node: number | undefined;
  readonly suppress: boolean;
}

export interface Response {
  readonly control: number;
}

/** Control types 04 and 05 carry a node number. */
function hasNode(control: number): boolean {
  return control === 0x04 || control === 0x05;
}

/** `28 <controlType> <communicationType> [node]`; throws RangeError when the node does not fit the type. */
export function encodeRequest(
  control: number,
  type: number,
  options: { readonly node?: number; readonly suppress?: boolean } = {},
): Uint8Array {
  if (hasNode(control) !== (options.node !== undefined)) {
    throw new RangeError(
      `controlType ${control} ${hasNode(control) ? 'needs a' : 'has no'} node number`,
    );
  }
  return concatBytes(
    Uint8Array.of(
      SID,
      joinSubFunction(control, options.suppress),
      checkedByte(type, 'communicationType'),
    ),
    options.node === undefined ? new Uint8Array() : uintToBytes(options.node, 2),
  );
}

export function decodeRequest(bytes: Uint8Array): Request | Nrc {
  const { subFunction, suppress } = splitSubFunction(bytes[1] ?? 0);
  const length = hasNode(subFunction) ? 5 : 3;
  return (
    requestProblem(bytes, SID, length, length) ?? {
      control: subFunction,
      type: byteAt(bytes, 2),
      node: hasNode(subFunction) ? new Reader(bytes, 3).uint(2) : undefined,
      suppress,
    }
  );
}

/** `68 <controlType>` */
export function encodeResponse(control: number): Uint8Array {
  return Uint8Array.of(SID + POSITIVE_RESPONSE_OFFSET, joinSubFunction(control));
}

export function decodeResponse(bytes: Uint8Array): Response | Malformed {
  return responseProblem(bytes, SID, 2, 2) ?? { control: byteAt(bytes, 1) };
}

export const row = serviceRow({
  name: 'communicationControl',
  sid: SID,
  subFunctions: ControlType,
  echoed: 1,
  request(message, subFunction) {
    const type = (message[2] ?? 0) & 3;
    const messages = type === 0 ? '' : nameIn(CommunicationType, type);
    return `${nameIn(ControlType, subFunction)} ${messages}`.trim();
  },
  response: (_message, subFunction) => nameIn(ControlType, subFunction),
});
