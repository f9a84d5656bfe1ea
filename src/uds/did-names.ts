// Names of data identifiers, for traces and messages; and which of them hold secrets.

import { hex4, Reader } from './codec.ts';
import { Did } from './sid.ts';
import { bytesText, valueText } from './words.ts';

/** Table C.1, the ones that traces of programming show; names as in the standard. */
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

/** What a trace must not spell out. */
const SECRET_DIDS: ReadonlySet<number> = new Set([
  Did.deviceSecret,
  Did.securityAccessKey,
  Did.approvalKey,
]);

/** The standard's name of a data identifier, its number where it has none. */
export function didText(did: number): string {
  return DID_NAMES.get(did) ?? `DID 0x${hex4(did)}`;
}

/** The identifier behind the SID. */
export function didOf(message: Uint8Array): string {
  return message.length < 3 ? '(too short)' : didText(new Reader(message, 1).uint(2));
}

/** Of a message that writes an identifier: the data as bytes, of a secret only how many. */
export function writtenData(message: Uint8Array): string {
  return isSecret(message) ? hidden(message) : bytesText(message, 3);
}

/** Of a message that tells an identifier: the data as text or bytes, of a secret only how many. */
export function readData(message: Uint8Array): string {
  return isSecret(message) ? hidden(message) : valueText(message.subarray(3));
}

function isSecret(message: Uint8Array): boolean {
  return message.length >= 3 && SECRET_DIDS.has(new Reader(message, 1).uint(2));
}

function hidden(message: Uint8Array): string {
  return `${message.length - 3} bytes`;
}
