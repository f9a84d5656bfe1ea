// One line about any message.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { describeMessage, messageKind } from '../../src/uds/describe.ts';
import { Sid } from '../../src/uds/services/all.ts';

test.each([
  ['22F195', '22 F195 readDataByIdentifier systemSupplierECUSoftwareVersionNumber'],
  [
    '62F195312E302E30',
    '62 F195 readDataByIdentifier ok systemSupplierECUSoftwareVersionNumber "1.0.0"',
  ],
  ['22010A', '22 010A readDataByIdentifier DID 0x010A'],
  ['7F3673', '7F 36 73 transferData refused: wrongBlockSequenceCounter'],
  ['7F3178', '7F 31 78 routineControl response pending'],
  ['7F2290', '7F 22 90 readDataByIdentifier refused: shifterLeverNotInPark'],
  ['7F22F0', '7F 22 F0 readDataByIdentifier refused: NRC 0xF0'],
  ['7F22', '7F 22 negative response, too short'],
  ['1003', '10 03 diagnosticSessionControl extended'],
  ['1083', '10 83 diagnosticSessionControl extended (no positive response)'],
  ['5003003201F4', '50 03 diagnosticSessionControl ok extended P2 50 ms P2* 5000 ms'],
  ['1101', '11 01 ecuReset hardReset'],
  ['14FFFFFF', '14 clearDiagnosticInformation all DTCs'],
  ['1902FF', '19 02 readDtcInformation reportDtcByStatusMask FF'],
  ['5902FF1234562F', '59 02 readDtcInformation ok reportDtcByStatusMask 1 DTCs'],
  ['2701', '27 01 securityAccess requestSeed level 1'],
  ['67013657', '67 01 securityAccess ok level 1 seed of 2 bytes'],
  ['67010000', '67 01 securityAccess ok level 1 is unlocked already'],
  ['2702C9A9', '27 02 securityAccess sendKey level 1'],
  ['6702', '67 02 securityAccess ok level 1 unlocked'],
  ['288301', '28 83 communicationControl disableRxAndTx normal (no positive response)'],
  ['690010', '69 00 authentication ok deAuthenticate deAuthenticationSuccessful'],
  ['2EF15A0102', '2E F15A writeDataByIdentifier programmingFingerprint 01 02'],
  ['2FFD520350', '2F FD52 inputOutputControlByIdentifier shortTermAdjustment DID 0xFD52 50'],
  ['6FFD520012', '6F FD52 inputOutputControlByIdentifier ok returnControlToEcu DID 0xFD52 12'],
  ['2FFD5283', '2F FD52 inputOutputControlByIdentifier 0x83 DID 0xFD52'],
  ['2FFD', '2F inputOutputControlByIdentifier (too short)'],
  [
    '3101FF00440800000000001000',
    '31 01 FF00 routineControl startRoutine eraseMemory 0x8000000 4096 bytes',
  ],
  ['71010202', '71 01 0202 routineControl ok startRoutine checkMemory'],
  ['31010999AA', '31 01 0999 routineControl startRoutine routine 0x0999 AA'],
  ['34004408000000 00010000', '34 requestDownload 0x8000000 65536 bytes'],
  ['74200FFF', '74 requestDownload ok blocks of up to 4095 bytes'],
  ['3605AABBCC', '36 05 transferData block 5 3 bytes'],
  ['7605', '76 05 transferData ok block 5'],
  ['37', '37 requestTransferExit'],
  ['38010005612E62696E00011010', '38 01 requestFileTransfer addFile a.bin 16 bytes'],
  ['3802000361 0A 62', '38 02 requestFileTransfer deleteFile a?b'],
  ['3E80', '3E 80 testerPresent (no positive response)'],
  ['8582', '85 82 controlDtcSetting off (no positive response)'],
  ['BA01', 'BA unknown service 01'],
  ['23', '23 readMemoryByAddress (malformed: incorrectMessageLengthOrInvalidFormat)'],
  ['23440800000000000010', '23 readMemoryByAddress 0x8000000 16 bytes'],
  ['63AABB', '63 readMemoryByAddress ok AA BB'],
  ['22FD22', '22 FD22 readDataByIdentifier versionReport'],
  ['31010221', '31 01 0221 routineControl startRoutine lockReadout'],
  ['24', '24 readScalingDataByIdentifier'],
  ['', 'empty message'],
])('%s', (bytes, text) => {
  expect(describeMessage(fromHex(bytes))).toBe(text);
});

test('a long message stays one short line', () => {
  const text = describeMessage(fromHex(`2ef190${'ab'.repeat(4000)}`));
  expect(text.length).toBeLessThan(120);
  expect(text).toContain('4000 bytes');
});

test('a secret key is not written out', () => {
  expect(describeMessage(fromHex('2702C0FFEE'))).not.toContain('FF EE');
  expect(describeMessage(fromHex('2EFD13C0FFEE'))).toBe(
    '2E FD13 writeDataByIdentifier deviceSecret 3 bytes',
  );
  for (const did of ['FD13', 'FD14', 'FD15']) {
    expect(describeMessage(fromHex(`62${did}C0FFEE`))).toMatch(/ 3 bytes$/);
  }
});

test('no bytes make it throw, move the cursor or break the line', () => {
  const sids = Object.values(Sid).flatMap((sid) => [sid, sid + 0x40]);
  const message = fc
    .tuple(fc.constantFrom(...sids, 0x7f), fc.uint8Array({ maxLength: 60 }))
    .map(([sid, rest]) => Uint8Array.of(sid, ...rest));
  fc.assert(
    fc.property(fc.oneof(message, fc.uint8Array()), (bytes) => {
      expect(describeMessage(bytes)).toMatch(/^[\x20-\x7e]+$/);
    }),
    { numRuns: 2000 },
  );
});

test('the kind of a message', () => {
  expect(messageKind(fromHex('22f190'))).toBe('request');
  expect(messageKind(fromHex('62f190'))).toBe('positive');
  expect(messageKind(fromHex('c502'))).toBe('positive');
  expect(messageKind(fromHex('8502'))).toBe('request');
  expect(messageKind(fromHex('7f2211'))).toBe('negative');
  expect(messageKind(fromHex(''))).toBe('empty');
});
