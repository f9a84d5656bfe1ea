// Names in a trace as literals: services without a codec of ours, and data identifiers of the standard.

import { describe, expect, test } from 'vitest';
import { describeMessage } from '../../src/uds/describe.ts';

test.each([
  ['24', 'readScalingDataByIdentifier'],
  ['2A', 'readDataByPeriodicIdentifier'],
  ['2C', 'dynamicallyDefineDataIdentifier'],
  ['3D', 'writeMemoryByAddress'],
  ['83', 'accessTimingParameter'],
  ['86', 'responseOnEvent'],
  ['87', 'linkControl'],
  ['84', 'securedDataTransmission'],
  ['99', 'unknown service'],
])('%s is %s', (sid, name) => {
  expect(describeMessage(Uint8Array.from(Buffer.from(sid, 'hex')))).toContain(`${sid} ${name}`);
});

describe('22 of', () => {
  test.each([
    ['F180', 'bootSoftwareIdentification'],
    ['F181', 'applicationSoftwareIdentification'],
    ['F182', 'applicationDataIdentification'],
    ['F183', 'bootSoftwareFingerprint'],
    ['F184', 'applicationSoftwareFingerprint'],
    ['F185', 'applicationDataFingerprint'],
    ['F186', 'activeDiagnosticSession'],
    ['F187', 'vehicleManufacturerSparePartNumber'],
    ['F188', 'vehicleManufacturerECUSoftwareNumber'],
    ['F189', 'vehicleManufacturerECUSoftwareVersionNumber'],
    ['F18A', 'systemSupplierIdentifier'],
    ['F18B', 'ECUManufacturingDate'],
    ['F18C', 'ECUSerialNumber'],
    ['F190', 'VIN'],
    ['F191', 'vehicleManufacturerECUHardwareNumber'],
    ['F192', 'systemSupplierECUHardwareNumber'],
    ['F193', 'systemSupplierECUHardwareVersionNumber'],
    ['F194', 'systemSupplierECUSoftwareNumber'],
    ['F195', 'systemSupplierECUSoftwareVersionNumber'],
    ['F197', 'systemNameOrEngineType'],
    ['F198', 'repairShopCodeOrTesterSerialNumber'],
    ['F199', 'programmingDate'],
    ['F15A', 'programmingFingerprint'],
    ['FD00', 'bootState'],
    ['FD01', 'activeBankDigest'],
    ['FD02', 'inactiveBankDigest'],
    ['FD10', 'deviceId'],
    ['FD11', 'provisioningState'],
    ['FD12', 'publicKeys'],
    ['FD13', 'deviceSecret'],
    ['FD14', 'securityAccessKey'],
    ['FD15', 'approvalKey'],
    ['FD16', 'testerKey'],
    ['FD17', 'factoryKey'],
    ['FD20', 'trustState'],
    ['FD21', 'timeNonce'],
    ['FD22', 'versionReport'],
    ['FD23', 'reportReceived'],
    ['FD24', 'securedDataChallenge'],
    ['FD25', 'campaignRecord'],
  ])('%s reads %s', (did, name) => {
    const request = Uint8Array.from(Buffer.from(`22${did}`, 'hex'));
    expect(describeMessage(request)).toBe(`22 ${did} readDataByIdentifier ${name}`);
  });

  test.each(['F17F', 'F19A', 'F196', 'FD26'])('%s has no name', (did) => {
    const request = Uint8Array.from(Buffer.from(`22${did}`, 'hex'));
    expect(describeMessage(request)).toBe(`22 ${did} readDataByIdentifier DID 0x${did}`);
  });

  test.each([
    ['FD13', true],
    ['FD14', true],
    ['FD15', true],
    ['FD16', false],
    ['F190', false],
  ])('%s is spelled out unless it is a secret: %s', (did, isSecret) => {
    for (const head of ['62', '2E']) {
      const bytes = Uint8Array.from(Buffer.from(`${head}${did}4142`, 'hex'));
      expect(/AB|4142|41 42/.test(describeMessage(bytes))).toBe(!isSecret);
    }
  });
});
