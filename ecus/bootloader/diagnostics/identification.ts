// Data identifiers (22, 2E): who the ECU is, what it runs and trusts, what its banks hold, and its live values.

import { asciiBytes, asciiText, bytesToUint, fromHex, toHex } from '../../../src/core/bytes.ts';
import { encodeBootState } from '../../../src/uds/boot-state.ts';
import { CAMPAIGN_BYTES, encodeCampaignRecord } from '../../../src/uds/campaign-record.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import { encodeResumeState } from '../../../src/uds/resume-state.ts';
import type { Reply, ServiceContext } from '../../../src/uds/server-types.ts';
import * as readData from '../../../src/uds/services/read-data-by-identifier.ts';
import * as writeData from '../../../src/uds/services/write-data-by-identifier.ts';
import { Did, Session } from '../../../src/uds/sid.ts';
import { type BootRecord, bootStateOf, campaignOf } from '../boot/boot-record.ts';
import type { BootedEcu } from '../device.ts';
import { readProvisioned, writeProvisioned } from '../factory/provisioning.ts';
import { unfinishedDownload } from '../programming/image-transfer.ts';
import type { MetadataCheck } from '../programming/metadata.ts';
import { resumeStateOf } from '../programming/resume-point.ts';
import { commitment } from '../programming/routines.ts';
import type { Application } from './application.ts';
import type { SecuredData } from './secured-data.ts';
import { versionReport } from './version-report.ts';

const SUPPLIER = 'CAN-OTA';

/** More in one request is 13: each FD01 reads a whole bank. */
const MAX_DIDS = 16;

/** Bytes of the counter of a version report. */
const REPORT_COUNTER_BYTES = 8;
/** Bytes of a fingerprint. */
const MAX_FINGERPRINT = 32;

/** Where the data of identifiers come from and go to. */
export interface DataParts {
  readonly device: BootedEcu;
  readonly metadata: MetadataCheck;
  readonly application: Application;
  readonly securedData: SecuredData;
}

type Value = Uint8Array | { readonly nrc: Nrc } | undefined;

/** ISO 14229-1 11.2: what is known of the asked identifiers is told; 31 when none is, 33 or 22 when one says so. */
export async function readDataByIdentifier(
  parts: DataParts,
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
  { device, metadata, application, securedData }: DataParts,
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

function campaignRecordOf(record: BootRecord): Uint8Array {
  const campaign = campaignOf(record);
  if (campaign === null) {
    const none = new Uint8Array(CAMPAIGN_BYTES);
    return encodeCampaignRecord({ state: 'none', campaign: none, commitment: none });
  }
  return encodeCampaignRecord({
    state: campaign.evidence === null ? 'open' : 'confirmed',
    campaign: fromHex(campaign.id),
    commitment: fromHex(commitment(campaign)),
  });
}

/** Computed now over the bytes in the bank file; undefined where there is no verified image. */
async function digestOf(device: BootedEcu, which: 'active' | 'inactive'): Promise<Value> {
  const { flash, banks } = device;
  const { record } = flash;
  const bank = which === 'active' ? record.activeBank : banks.inactive(record);
  if (bank === undefined || record.banks[bank].content !== 'valid') return undefined;
  return (await flash.digest(bank)).sha256;
}

/**
 * ISO 14229-1 11.7: the fingerprint in the programming session, until the lock in the programming and the extended session
 * what a factory writes. After the lock the VIN needs the factory's authority and the application's values that of the
 * TMU (service 84). Answered when it is durable.
 */
export async function writeDataByIdentifier(
  { device, application }: DataParts,
  bytes: Uint8Array,
  context: ServiceContext,
): Promise<Reply> {
  const request = writeData.decodeRequest(bytes);
  if (typeof request === 'number') return { nrc: request };
  const { did, data } = request;
  const { authority, session, nowMs } = context;
  const provisioned = await writeProvisioned(device, did, data, authority);
  if (provisioned === 'stored') return { positive: writeData.encodeResponse(did) };
  if (provisioned !== undefined) return { nrc: provisioned };
  const nrc = await write();
  return nrc === undefined ? { positive: writeData.encodeResponse(did) } : { nrc };

  async function write(): Promise<Nrc | undefined> {
    const { locked } = device.identity;
    switch (did) {
      case Did.vin:
        if (locked && authority !== 'factory') return Nrc.securityAccessDenied;
        return writeVin(device, data);
      case Did.reportReceived:
        if (authority !== 'tester') return Nrc.secureDataTransmissionRequired;
        return reportReceived(device, data);
      case Did.applicationSoftwareFingerprint:
        if (session !== Session.programming) return Nrc.requestOutOfRange;
        if (data.length > MAX_FINGERPRINT) return Nrc.incorrectMessageLengthOrInvalidFormat;
        await device.nv.store({ fingerprint: toHex(data) });
        return undefined;
      default:
        if (locked && application.takes(did) && authority !== 'tester') {
          return Nrc.secureDataTransmissionRequired;
        }
        return session === Session.extended || authority !== undefined
          ? application.write(did, data, nowMs)
          : Nrc.requestOutOfRange;
    }
  }
}

async function writeVin(device: BootedEcu, data: Uint8Array): Promise<Nrc | undefined> {
  if (data.length !== 17) return Nrc.incorrectMessageLengthOrInvalidFormat;
  const vin = asciiText(data);
  if (!/^[A-HJ-NPR-Z0-9]{17}$/.test(vin)) return Nrc.requestOutOfRange;
  await device.nv.store({ vin });
  return undefined;
}

/** The Director has this version report, and with it what the report tells of an attack. */
async function reportReceived(device: BootedEcu, data: Uint8Array): Promise<Nrc | undefined> {
  if (data.length !== REPORT_COUNTER_BYTES) return Nrc.incorrectMessageLengthOrInvalidFormat;
  const known = await device.trust.reportReceived(bytesToUint(data));
  return known ? undefined : Nrc.requestOutOfRange;
}
