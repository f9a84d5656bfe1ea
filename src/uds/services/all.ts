// All services with a codec here; monitor, client and server know them by their rows. A new one is a file and a line here.

import { hex2 } from '../codec.ts';
import type { ServiceRow } from '../service-row.ts';
import { row as authentication } from './authentication.ts';
import { row as clearDiagnosticInformation } from './clear-diagnostic-information.ts';
import { row as communicationControl } from './communication-control.ts';
import { row as controlDtcSetting } from './control-dtc-setting.ts';
import { row as diagnosticSessionControl } from './diagnostic-session-control.ts';
import { row as ecuReset } from './ecu-reset.ts';
import { row as inputOutputControl } from './input-output-control.ts';
import { OTHER_SERVICES } from './other.ts';
import { row as readDataByIdentifier } from './read-data-by-identifier.ts';
import { row as readDtcInformation } from './read-dtc-information.ts';
import { row as readMemoryByAddress } from './read-memory-by-address.ts';
import { row as requestDownload } from './request-download.ts';
import { row as requestFileTransfer } from './request-file-transfer.ts';
import { row as requestTransferExit } from './request-transfer-exit.ts';
import { row as requestUpload } from './request-upload.ts';
import { row as routineControl } from './routine-control.ts';
import { row as securedDataTransmission } from './secured-data-transmission.ts';
import { row as securityAccess } from './security-access.ts';
import { row as testerPresent } from './tester-present.ts';
import { row as transferData } from './transfer-data.ts';
import { row as writeDataByIdentifier } from './write-data-by-identifier.ts';

const SERVICES = [
  diagnosticSessionControl,
  ecuReset,
  clearDiagnosticInformation,
  readDtcInformation,
  readDataByIdentifier,
  readMemoryByAddress,
  securityAccess,
  communicationControl,
  authentication,
  writeDataByIdentifier,
  inputOutputControl,
  routineControl,
  requestDownload,
  requestUpload,
  transferData,
  requestTransferExit,
  requestFileTransfer,
  testerPresent,
  securedDataTransmission,
  controlDtcSetting,
] as const;

type Row = (typeof SERVICES)[number];

/** ISO 14229-1:2020 table 2: service identifiers of requests, by the standard's names. */
export const Sid = Object.fromEntries(SERVICES.map(({ name, sid }) => [name, sid])) as {
  readonly [Each in Row as Each['name']]: Each['sid'];
};
export type Sid = Row['sid'];

const OWN: ReadonlyMap<number, ServiceRow> = bySid(SERVICES);
const ALL: ReadonlyMap<number, ServiceRow> = bySid([...SERVICES, ...OTHER_SERVICES]);

/** The row of a service of the standard, also of one without a codec here. */
export function serviceOf(sid: number): ServiceRow | undefined {
  return ALL.get(sid);
}

/** `transferData (0x36)` */
export function sidText(sid: number): string {
  const code = `0x${hex2(sid)}`;
  const row = OWN.get(sid);
  return row === undefined ? `service ${code}` : `${row.name} (${code})`;
}

function bySid(rows: readonly ServiceRow[]): ReadonlyMap<number, ServiceRow> {
  return new Map(rows.map((row) => [row.sid, row]));
}
