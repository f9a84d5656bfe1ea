// ReadDataByIdentifier (22): identification, boot state, digests, trust state and live values of the ECU.

import { asciiBytes, fromHex } from '../../../../src/core/bytes.ts';
import { encodeBootState } from '../../../../src/uds/boot-state.ts';
import { Nrc } from '../../../../src/uds/nrc.ts';
import { encodeResumeState } from '../../../../src/uds/resume-state.ts';
import type { Reply, ServiceContext } from '../../../../src/uds/server-types.ts';
import * as readData from '../../../../src/uds/services/read-data-by-identifier.ts';
import { Did } from '../../../../src/uds/sid.ts';
import { bootStateOf } from '../../boot/boot-record.ts';
import { campaignRecordOf } from '../../boot/campaign-evidence.ts';
import type { BootedEcu } from '../../device.ts';
import { readProvisioned } from '../../factory/provisioning.ts';
import { unfinishedDownload } from '../../programming/image-transfer.ts';
import { resumeStateOf } from '../../programming/resume-point.ts';
import { versionReport } from '../version-report.ts';
import type { EcuService, ServiceParts } from './ecu-service.ts';

const SUPPLIER = 'CAN-OTA';

/** Most identifiers in one request (more is NRC 13), because each FD01 reads a whole bank. */
const MAX_DIDS = 16;

/** A digest reads a whole bank; a version report is signed. */
const COSTLY_DIDS: ReadonlySet<number> = new Set([
  Did.activeBankDigest,
  Did.inactiveBankDigest,
  Did.versionReport,
]);

export const service: EcuService = {
  sid: readData.row.sid,
  isSecurable: true,
  handler: (parts) => ({
    minLength: 3,
    isCostly: (bytes) => {
      const request = readData.decodeRequest(bytes);
      return typeof request !== 'number' && request.dids.some((did) => COSTLY_DIDS.has(did));
    },
    handle: (bytes, context) => readDataByIdentifier(parts, bytes, context),
  }),
};

type Value = Uint8Array | { readonly nrc: Nrc } | undefined;

/** ISO 14229-1 11.2: answers the known identifiers; 31 when none is known, 33 or 22 when one of them refuses. */
async function readDataByIdentifier(
  parts: ServiceParts,
  bytes: Uint8Array,
  context: ServiceContext,
): Promise<Reply> {
  const request = readData.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  if (request.dids.length > MAX_DIDS) {
    return { nrc: Nrc.incorrectMessageLengthOrInvalidFormat };
  }
  const records: readData.DataRecord[] = [];
  for (const did of request.dids) {
    const data = await readDid(parts, did, context);
    if (data !== undefined && 'nrc' in data) return data;
    if (data !== undefined) records.push({ did, data });
  }
  if (records.length === 0) return { nrc: Nrc.requestOutOfRange };
  return { positive: readData.encodeResponse(...records) };
}

function readDid(
  { device, metadata, application, securedData }: ServiceParts,
  did: number,
  context: ServiceContext,
): Value | Promise<Value> {
  const { flash, nv, running, ecu, banks } = device;
  switch (did) {
    case Did.activeDiagnosticSession:
      return Uint8Array.of(context.session);
    case Did.sparePartNumber:
      return asciiBytes(device.profile.partNumber);
    case Did.ecuSoftwareVersion:
    case Did.systemSupplierSoftwareVersion:
      return asciiBytes(running.version);
    case Did.systemSupplierIdentifier:
      return asciiBytes(SUPPLIER);
    case Did.ecuSerialNumber:
      return asciiBytes(device.identity.content.serial ?? nv.content.serial);
    case Did.vin:
      return asciiBytes(nv.content.vin ?? device.vin);
    case Did.ecuHardwareNumber:
      return asciiBytes(device.hardwareId);
    case Did.applicationSoftwareFingerprint:
      return nv.content.fingerprint === '' ? undefined : fromHex(nv.content.fingerprint);
    case Did.bootState:
      return encodeBootState(
        bootStateOf(flash.record, running.bank === 'recovery', banks.inactive(flash.record)),
      );
    case Did.activeBankDigest:
      return digestOf(device, 'active');
    case Did.inactiveBankDigest:
      return digestOf(device, 'inactive');
    case Did.resumeState: {
      const point = unfinishedDownload(device);
      return point && encodeResumeState(resumeStateOf(point));
    }
    case Did.deviceId:
      return device.deviceId;
    case Did.provisioningState:
    case Did.publicKeys:
    case Did.deviceSecret:
    case Did.securityAccessKey:
    case Did.approvalKey:
    case Did.testerKey:
    case Did.factoryKey:
      return readProvisioned(device, did);
    case Did.securedDataChallenge:
      return securedData.challenge();
    case Did.campaignRecord:
      return campaignRecordOf(flash.record);
    case Did.trustState: {
      const state = device.trust.state(ecu.verification);
      return state === undefined
        ? { nrc: Nrc.conditionsNotCorrect }
        : new TextEncoder().encode(JSON.stringify(state));
    }
    case Did.timeNonce:
      return metadata.nonce();
    case Did.versionReport:
      return versionReport(device);
    default:
      return application.read(did, context.nowMs);
  }
}

/** The digest, computed now over the bytes of the bank file; undefined where there is no verified image. */
async function digestOf(device: BootedEcu, which: 'active' | 'inactive'): Promise<Value> {
  const { flash, banks } = device;
  const { record } = flash;
  const bank = which === 'active' ? record.activeBank : banks.inactive(record);
  if (bank === undefined || record.banks[bank].content !== 'valid') return undefined;
  return (await flash.digest(bank)).sha256;
}
