// Names of data identifiers for traces and messages, and the list of those that contain secrets.

import { hex4, Reader } from './codec.ts';
import { Did } from './sid.ts';
import { bytesText, valueText } from './words.ts';

/** Identifiers of table C.1 that traces of programming show, and ours; names as in the standard. */
const DID_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [0xf180, 'bootSoftwareIdentification'],
  [0xf181, 'applicationSoftwareIdentification'],
  [0xf182, 'applicationDataIdentification'],
  [0xf183, 'bootSoftwareFingerprint'],
  [0xf184, 'applicationSoftwareFingerprint'],
  [0xf185, 'applicationDataFingerprint'],
  [Did.activeDiagnosticSession, 'activeDiagnosticSession'],
  [Did.sparePartNumber, 'vehicleManufacturerSparePartNumber'],
  [0xf188, 'vehicleManufacturerECUSoftwareNumber'],
  [Did.ecuSoftwareVersion, 'vehicleManufacturerECUSoftwareVersionNumber'],
  [Did.systemSupplierIdentifier, 'systemSupplierIdentifier'],
  [0xf18b, 'ECUManufacturingDate'],
  [Did.ecuSerialNumber, 'ECUSerialNumber'],
  [Did.vin, 'VIN'],
  [Did.ecuHardwareNumber, 'vehicleManufacturerECUHardwareNumber'],
  [0xf192, 'systemSupplierECUHardwareNumber'],
  [0xf193, 'systemSupplierECUHardwareVersionNumber'],
  [0xf194, 'systemSupplierECUSoftwareNumber'],
  [Did.systemSupplierSoftwareVersion, 'systemSupplierECUSoftwareVersionNumber'],
  [0xf197, 'systemNameOrEngineType'],
  [0xf198, 'repairShopCodeOrTesterSerialNumber'],
  [0xf199, 'programmingDate'],
  [Did.applicationSoftwareFingerprint, 'programmingFingerprint'],
  [Did.bootState, 'bootState'],
  [Did.activeBankDigest, 'activeBankDigest'],
  [Did.inactiveBankDigest, 'inactiveBankDigest'],
  [Did.deviceId, 'deviceId'],
  [Did.provisioningState, 'provisioningState'],
  [Did.publicKeys, 'publicKeys'],
  [Did.deviceSecret, 'deviceSecret'],
  [Did.securityAccessKey, 'securityAccessKey'],
  [Did.approvalKey, 'approvalKey'],
  [Did.testerKey, 'testerKey'],
  [Did.factoryKey, 'factoryKey'],
  [Did.trustState, 'trustState'],
  [Did.timeNonce, 'timeNonce'],
  [Did.versionReport, 'versionReport'],
  [Did.reportReceived, 'reportReceived'],
  [Did.securedDataChallenge, 'securedDataChallenge'],
  [Did.campaignRecord, 'campaignRecord'],
]);

/** Data identifiers whose data a trace must not show. */
const SECRET_DIDS: ReadonlySet<number> = new Set([
  Did.deviceSecret,
  Did.securityAccessKey,
  Did.approvalKey,
]);

/** The standard's name of a data identifier, or its number where it has no name. */
export function didText(did: number): string {
  return DID_NAMES.get(did) ?? `DID 0x${hex4(did)}`;
}

/** Text of the identifier after the SID. */
export function didOf(message: Uint8Array): string {
  return message.length < 3 ? '(too short)' : didText(new Reader(message, 1).uint(2));
}

/** Data of a message that writes an identifier, as bytes; for a secret only their number. */
export function writtenData(message: Uint8Array): string {
  return isSecret(message) ? hidden(message) : bytesText(message, 3);
}

/** Data of a message that reports an identifier, as text or bytes; for a secret only their number. */
export function readData(message: Uint8Array): string {
  return isSecret(message) ? hidden(message) : valueText(message.subarray(3));
}

function isSecret(message: Uint8Array): boolean {
  return message.length >= 3 && SECRET_DIDS.has(new Reader(message, 1).uint(2));
}

function hidden(message: Uint8Array): string {
  return `${message.length - 3} bytes`;
}
