// All services of the simulated ECU; the server itself has 10, 28, 3E, 85. A new service needs a file and a line here.

import { service as clearDiagnosticInformation } from './clear-diagnostic-information.ts';
import { service as ecuReset } from './ecu-reset.ts';
import { service as inputOutputControl } from './input-output-control.ts';
import { service as readDataByIdentifier } from './read-data-by-identifier.ts';
import { service as readDtcInformation } from './read-dtc-information.ts';
import { service as readMemoryByAddress } from './read-memory-by-address.ts';
import { service as requestDownload } from './request-download.ts';
import { service as requestFileTransfer } from './request-file-transfer.ts';
import { service as requestTransferExit } from './request-transfer-exit.ts';
import { service as requestUpload } from './request-upload.ts';
import { service as routineControl } from './routine-control.ts';
import { service as securedDataTransmission } from './secured-data-transmission.ts';
import { service as securityAccess } from './security-access.ts';
import { service as transferData } from './transfer-data.ts';
import { service as writeDataByIdentifier } from './write-data-by-identifier.ts';

export const ECU_SERVICES = [
  clearDiagnosticInformation,
  ecuReset,
  inputOutputControl,
  readDataByIdentifier,
  readDtcInformation,
  readMemoryByAddress,
  requestDownload,
  requestFileTransfer,
  requestTransferExit,
  requestUpload,
  routineControl,
  securedDataTransmission,
  securityAccess,
  transferData,
  writeDataByIdentifier,
] as const;
