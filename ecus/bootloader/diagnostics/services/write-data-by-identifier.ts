// WriteDataByIdentifier (2E): fingerprint, the data of the factory, and values of the application.

import { asciiText, bytesToUint, toHex } from '../../../../src/core/bytes.ts';
import { Nrc } from '../../../../src/uds/nrc.ts';
import type { Reply, ServiceContext } from '../../../../src/uds/server-types.ts';
import * as writeData from '../../../../src/uds/services/write-data-by-identifier.ts';
import { Did, Session } from '../../../../src/uds/sid.ts';
import type { BootedEcu } from '../../device.ts';
import { writeProvisioned } from '../../factory/provisioning.ts';
import {
  type EcuService,
  FACTORY_SESSIONS,
  programmingHandler,
  type ServiceParts,
} from './ecu-service.ts';

/** Length of the counter of a version report in bytes. */
const REPORT_COUNTER_BYTES = 8;
/** Longest fingerprint in bytes. */
const MAX_FINGERPRINT = 32;

export const service: EcuService = {
  sid: writeData.row.sid,
  isSecurable: true,
  handler: (parts) =>
    programmingHandler(
      parts,
      { minLength: 4, handle: (bytes, context) => writeDataByIdentifier(parts, bytes, context) },
      // Values of an application are written in the extended session, those of the bootloader are not.
      parts.application.takesWrites ? FACTORY_SESSIONS : undefined,
    ),
};

/**
 * ISO 14229-1 11.7: takes the fingerprint in the programming session, and before the lock the data of the factory in
 * the programming and the extended session. After the lock the VIN needs the factory's authority, and the application's
 * values that of the TMU (service 84). Answers when the value is durable.
 */
async function writeDataByIdentifier(
  { device, application }: ServiceParts,
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

/** Notes that the Director has this version report with its attack. */
async function reportReceived(device: BootedEcu, data: Uint8Array): Promise<Nrc | undefined> {
  if (data.length !== REPORT_COUNTER_BYTES) return Nrc.incorrectMessageLengthOrInvalidFormat;
  const known = await device.trust.reportReceived(bytesToUint(data));
  return known ? undefined : Nrc.requestOutOfRange;
}
